//! What goes into a run's links beside the packets, and what is taken from them beside the log.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use lftp_netem::pcapng::PcapngWriter;
use lftp_netem::record::PacketRecord;
use lftp_netem::recording::Recording;
use lftp_netem::world::Links;

/// A tape to be played, a tape to be written, and a capture; by default none of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap {
    /// What chance is to do, instead of what the seed says.
    pub tape: Option<GivenTape>,
    /// Where what chance did goes.
    pub written: Option<Arc<Mutex<Recording>>>,
    /// Where all packets go.
    pub capture: Option<Capture>,
}

/// A tape of the user's own.
#[derive(Clone, Debug)]
pub(crate) struct GivenTape {
    /// As given.
    pub path: String,
    /// What is on it.
    pub tape: Arc<Recording>,
}

impl Tap {
    /// Before the run in virtual time.
    pub(crate) fn attach(&self, links: &Links) {
        if let Some(given) = &self.tape {
            links.replay(&given.tape);
        }
        links.record_events(self.written.is_some());
        links.keep_payloads(self.capture.is_some());
    }

    /// After it.
    pub(crate) fn detach(&self, links: &Links) {
        if let Some(written) = &self.written {
            *written.lock().unwrap_or_else(PoisonError::into_inner) = links.take_recording();
        }
    }

    /// What became of packets.
    pub(crate) fn records(&self, records: &[PacketRecord]) {
        if let Some(capture) = &self.capture {
            capture.write(records);
        }
    }
}

/// A capture being written. A failure is kept until it is asked for.
#[derive(Clone)]
pub(crate) struct Capture(Arc<Mutex<Result<Writer, io::Error>>>);

type Writer = PcapngWriter<BufWriter<File>>;

impl Capture {
    /// Creates the file; `epoch_ns` is when its records begin, since 1970.
    pub(crate) fn create(path: &Path, epoch_ns: u64) -> io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        let writer = PcapngWriter::new(file, epoch_ns)?;
        Ok(Self(Arc::new(Mutex::new(Ok(writer)))))
    }

    fn write(&self, records: &[PacketRecord]) {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            let Ok(out) = writer.as_mut() else {
                return;
            };
            if let Err(error) = out.write(record) {
                *writer = Err(error);
            }
        }
    }

    /// Writes what is left, or says what went wrong.
    pub(crate) fn finish(self) -> io::Result<()> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = Err(io::Error::other("the capture is finished"));
        std::mem::replace(&mut *writer, over)?.finish()?;
        Ok(())
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").finish_non_exhaustive()
    }
}
