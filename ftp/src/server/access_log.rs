//! The access log: one line for each request of a client.

use std::fmt;
use std::time::Duration;

use super::client::ClientIdentity;
use crate::protocol::{Code, MAX_SHOWN_CHARS, Shown, shown};

/// A request, its client, and its outcome.
pub(super) struct AccessRecord<'a> {
    pub(super) client: &'a ClientIdentity,
    pub(super) operation: &'static str,
    /// The file or folder, as the client calls it.
    pub(super) name: &'a str,
    pub(super) bytes: u64,
    pub(super) duration: Duration,
}

/// Characters of a name in the log at most: a client may ask for one of 64 KiB.
const MAX_NAME_CHARS: usize = 200;

impl AccessRecord<'_> {
    /// The name, as a person may see it.
    pub(super) const fn shown_name(&self) -> Shown<'_> {
        shown(self.name, MAX_NAME_CHARS)
    }

    /// Logs success; the `detail` is a hash or a count.
    pub(super) fn done(&self, detail: &str) {
        self.write("ok", &detail);
    }

    /// Logs a failure.
    pub(super) fn failed(&self, code: Code, error: &dyn fmt::Display) {
        self.write(code.as_str(), error);
    }

    fn write(&self, result: &str, detail: &dyn fmt::Display) {
        let ClientIdentity {
            key, addr, name, ..
        } = self.client;
        tracing::info!(
            key = key.map(tracing::field::display),
            client = %addr,
            who = &**name,
            operation = self.operation,
            name = ?self.shown_name(),
            bytes = self.bytes,
            duration = ?self.duration,
            result,
            detail = ?shown(&detail.to_string(), MAX_SHOWN_CHARS),
            "access"
        );
    }
}
