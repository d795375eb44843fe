//! The exit codes of the bench.

use std::process::ExitCode;

use lftp_console::{CLOSED_PIPE_EXIT, OutputError};

/// The outcome of a command, as the exit code.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Success.
    Ok = 0,
    /// Something could not be done: a file not written, a port not available.
    Failed = 1,
    /// An invalid command line or scenario. Clap uses the same code.
    Usage = 2,
    /// A file did not arrive intact.
    NotIntact = 3,
    /// The run exceeded its lateness budget: its numbers are not valid.
    Invalid = 4,
    /// The gate found a regression.
    Gate = 5,
    /// A step of `ci` failed.
    Ci = 6,
    /// `diff`: the runs differ.
    Differs = 7,
    /// Standard output is a pipe whose reader has left.
    ClosedPipe = CLOSED_PIPE_EXIT,
}

impl Exit {
    /// The paragraph about exit codes in `--help`.
    pub const HELP: &'static str = "Exit codes: 0 success; 1 something could not be done; \
        2 invalid command line or scenario; 3 a file did not arrive intact; \
        4 the run exceeded its lateness budget and is not valid; 5 the gate found a regression; \
        6 a step of ci failed; 7 the runs differ; 141 standard output has no reader any more.";
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The exit code of a program that ends before it has a command: standard output cannot be written.
pub(crate) fn unprintable(error: &OutputError) -> u8 {
    if error.is_closed_pipe() {
        Exit::ClosedPipe as u8
    } else {
        Exit::Failed as u8
    }
}
