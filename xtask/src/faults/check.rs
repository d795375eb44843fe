//! The properties of a run.

use std::fs;
use std::sync::PoisonError;

use lftp_netem::world::WorldError;

use super::run::{Arrival, Shared};
use super::source::FILE;
use crate::scenario::Operation;

impl Shared {
    /// Checks, before anything has arrived, that the name stands for the earlier file or a complete one.
    pub(super) fn check_name(&self) -> Result<(), String> {
        let now = self.receivers_file();
        let is_complete = match &now {
            None => self.older.is_none(),
            Some(now) => self
                .older
                .iter()
                .chain(self.source().versions())
                // The earlier file or any version: what must never be there is a mixture.
                .any(|file| file == now),
        };
        if is_complete {
            return Ok(());
        }
        let what = now.map_or(0, |now| now.len());
        Err(format!(
            "after a crash the file's name stands for {what} bytes that are not a file of the sender"
        ))
    }

    /// Checks that the server's files are within the quota.
    pub(super) fn check_quota(&self) -> Result<(), String> {
        let Some(quota) = self.plan.quota_bytes else {
            return Ok(());
        };
        let folder = match self.plan.operation {
            Operation::Put => &self.receiver,
            Operation::Get => &self.sender,
        };
        let bytes = fs::read_dir(folder).and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.metadata()?.len()))
                .sum::<std::io::Result<u64>>()
        });
        let bytes = bytes.map_err(|error| format!("the server's folder: {error}"))?;
        if bytes > quota {
            return Err(format!("{bytes} bytes under a quota of {quota}"));
        }
        Ok(())
    }

    /// Checks the end of the run.
    pub(super) fn check_end(&self, end: Result<(), WorldError>) -> Result<(), String> {
        end.map_err(|error| format!("the file has not arrived: {error}"))?;
        let result = self
            .result
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or_else(|| Err("it ended without a result".to_owned()));
        let Arrival { receipt, since } = result?;
        self.check_quota()?;
        if receipt.resumed_bytes > 0 {
            self.count.one("transfer: resumed");
        }
        // The file may have been opened at any time of the attempt.
        let source = self.source();
        let sent = source.versions()[since..]
            .iter()
            .find(|version| blake3::hash(version) == receipt.hash);
        let Some(sent) = sent else {
            return Err("the receipt's hash is not that of a file the sender had".to_owned());
        };
        match self.receivers_file() {
            Some(now) if now == *sent => Ok(()),
            Some(now) => Err(format!(
                "the receiver's file is not the one it confirmed: {} bytes of {}, the first \
                 difference at {:?}",
                now.len(),
                sent.len(),
                now.iter().zip(sent).position(|(a, b)| a != b)
            )),
            None => Err("the receiver has no file of that name".to_owned()),
        }
    }

    fn receivers_file(&self) -> Option<Vec<u8>> {
        fs::read(self.receiver.join(FILE)).ok()
    }
}
