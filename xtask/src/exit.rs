//! Exit codes of the bench.

use std::process::ExitCode;

/// How a command ended. Clap's usage error is 2.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is well.
    Ok = 0,
    /// Something could not be done: a file that cannot be written, a port that cannot be had.
    Failed = 1,
    /// The command line, or a scenario, makes no sense.
    Usage = 2,
    /// A file did not arrive whole.
    NotIntact = 3,
    /// The run was late beyond its budget: its numbers do not count.
    Invalid = 4,
    /// The gate refuses.
    Gate = 5,
    /// A step of `ci` failed.
    Ci = 6,
    /// `diff`: the runs differ.
    Differs = 7,
}

impl Exit {
    /// What `--help` says of them.
    pub const HELP: &'static str = "Exit codes: 0 all is well; 1 something could not be done; \
        2 the command line or a scenario makes no sense; 3 a file did not arrive whole; \
        4 the run was late beyond its budget and does not count; 5 the gate refuses; \
        6 a step of ci failed; 7 the runs differ.";
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
