//! The access log: one line for everything that a client asked for.

use std::fmt;
use std::time::Duration;

use super::access::Who;
use crate::protocol::Code;

/// What was asked for, by whom, and what came of it.
pub(super) struct Record<'a> {
    pub(super) who: &'a Who,
    pub(super) operation: &'static str,
    /// The file or folder, as the client calls it.
    pub(super) name: &'a str,
    pub(super) bytes: u64,
    pub(super) duration: Duration,
}

impl Record<'_> {
    /// It was done; the `detail` is a hash or a count.
    pub(super) fn done(&self, detail: &str) {
        self.write("ok", &detail);
    }

    /// It was not.
    pub(super) fn failed(&self, code: Code, error: &dyn fmt::Display) {
        self.write(code.as_str(), error);
    }

    fn write(&self, result: &str, detail: &dyn fmt::Display) {
        let Who { key, client, name } = self.who;
        tracing::info!(
            key = key.map(tracing::field::display),
            %client,
            who = &**name,
            operation = self.operation,
            name = self.name,
            bytes = self.bytes,
            duration = ?self.duration,
            result,
            detail = detail.to_string(),
            "access"
        );
    }
}
