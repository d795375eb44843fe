//! The error type of every command: a message for the user and an exit code for scripts.

use std::fmt;

use lftp_console::OutputError;
use lftp_ftp::{Exit, StoreError};

use crate::shared::output;

/// Message with which an interrupted transfer, or one that is given up, can be finished.
pub(crate) const RESUME_HINT: &str = "run the same command again to resume";

/// A command that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    /// The failure of a command that Ctrl-C or a signal ended.
    pub(crate) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, format!("interrupted; {RESUME_HINT}"))
    }

    /// The failure of a command whose local file cannot be read or written.
    pub(crate) fn local(error: &StoreError) -> Self {
        Self::new(error.into(), error.to_string())
    }

    /// Returns the exit code of the program.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// Appends a clause that says what the user can do.
    pub(crate) fn with_hint(mut self, hint: &str) -> Self {
        self.message.push_str("; ");
        self.message.push_str(hint);
        self
    }
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        Self::new(output::exit(&error), error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
