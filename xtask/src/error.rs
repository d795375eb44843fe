//! The error of every subcommand.

use std::path::Path;

use lftp_console::OutputError;

use crate::exit::Exit;
use crate::run::RunError;
use crate::scenario::ScenarioError;

/// The reason why a command could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CommandError {
    /// The scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The world of a seed of `faults`.
    #[cfg(target_os = "linux")]
    #[error("cargo xtask faults --seeds {seed}: {source}")]
    Faults {
        /// The subject.
        seed: u64,
        /// The cause.
        source: crate::faults::RunError,
    },
    /// The run.
    #[error("{command}: {source}")]
    Run {
        /// The command that repeats it.
        command: String,
        /// The cause.
        source: RunError,
    },
    /// A file.
    #[error("{path}: {message}")]
    File {
        /// The subject.
        path: String,
        /// The operation that failed, and why.
        message: String,
    },
    /// Standard output cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Arguments that contradict each other.
    #[error("{0}")]
    Usage(String),
}

impl CommandError {
    /// A file that could not be read or written.
    pub(crate) fn file(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::File {
            path: path.display().to_string(),
            message: error.to_string(),
        }
    }

    /// The exit code for it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Scenario(ScenarioError::Read { .. }) | Self::Run { .. } | Self::File { .. } => {
                Exit::Failed
            }
            #[cfg(target_os = "linux")]
            Self::Faults { .. } => Exit::Failed,
            Self::Output(error) if error.is_closed_pipe() => Exit::ClosedPipe,
            Self::Output(_) => Exit::Failed,
            Self::Scenario(_) | Self::Usage(_) => Exit::Usage,
        }
    }
}
