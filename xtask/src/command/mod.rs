//! The subcommands, one a file.

mod ci;
mod compare;
mod diff;
#[cfg(target_os = "linux")]
mod faults;
mod gate;
mod list;
mod loopback;
mod scenario;
mod speed;
mod sweep;

use clap::{Parser, Subcommand};

use crate::exit::Exit;
use crate::run::RunError;
use crate::scenario::ScenarioError;

/// Runs LFTP through bad networks, measures it, and stops it from becoming slower.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, after_help = Exit::HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say which scenarios there are.
    List(list::List),
    /// Run a scenario: carry a file through its network, and leave traces and charts.
    Scenario(scenario::RunScenario),
    /// Compare with the committed baseline, and refuse what has become slower.
    Gate(gate::Gate),
    /// Run several transports through the same networks and the same losses.
    Compare(compare::Compare),
    /// Find the first packet or state in which two runs differ.
    Diff(diff::Diff),
    /// Carry files while machines crash, disks fail and the network is at its worst.
    #[cfg(target_os = "linux")]
    Faults(faults::Faults),
    /// Run a grid of scenarios.
    Sweep(sweep::Sweep),
    /// Put the results of a sweep's shards together.
    Merge(sweep::Merge),
    /// Measure how fast scenarios run in virtual time, on one core.
    Speed(speed::Speed),
    /// Measure what transports cost over real sockets on the loopback interface.
    Loopback(loopback::Loopback),
    /// Everything that must pass before a change lands.
    Ci(ci::Ci),
}

/// Why a command could not do its work.
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
        /// Which.
        seed: u64,
        /// What happened.
        source: crate::faults::RunError,
    },
    /// The run.
    #[error("{command}: {source}")]
    Run {
        /// What makes it again.
        command: String,
        /// What happened.
        source: RunError,
    },
    /// A file.
    #[error("{path}: {message}")]
    File {
        /// Which.
        path: String,
        /// What could not be done, and why.
        message: String,
    },
    /// Words on the command line that do not fit together.
    #[error("{0}")]
    Usage(String),
}

impl CommandError {
    /// A file that could not be read or written.
    pub(crate) fn file(path: &std::path::Path, error: impl std::fmt::Display) -> Self {
        Self::File {
            path: path.display().to_string(),
            message: error.to_string(),
        }
    }

    /// The exit code for it.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Scenario(ScenarioError::Read { .. }) | Self::Run { .. } | Self::File { .. } => {
                Exit::Failed
            }
            #[cfg(target_os = "linux")]
            Self::Faults { .. } => Exit::Failed,
            Self::Scenario(_) | Self::Usage(_) => Exit::Usage,
        }
    }
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`CommandError`] when it cannot be done. That something was done and did not go well is
    /// told by the exit code.
    pub(crate) fn run(self) -> Result<Exit, CommandError> {
        match self.command {
            Command::List(list) => list.run(),
            Command::Scenario(scenario) => scenario.run(),
            Command::Gate(gate) => gate.run(),
            Command::Compare(compare) => compare.run(),
            Command::Diff(diff) => diff.run(),
            #[cfg(target_os = "linux")]
            Command::Faults(faults) => faults.run(),
            Command::Sweep(sweep) => sweep.run(),
            Command::Merge(merge) => merge.run(),
            Command::Speed(speed) => speed.run(),
            Command::Loopback(loopback) => loopback.run(),
            Command::Ci(ci) => ci.run(),
        }
    }
}

/// `A..=B`, `A..B` or `A`.
fn parse_seeds(text: &str) -> Result<std::ops::RangeInclusive<u64>, String> {
    let number = |part: &str| {
        part.trim().parse::<u64>().map_err(|_| {
            format!("{text:?} is no range of seeds; write for instance 1..=8, or one number")
        })
    };
    let (first, last) = match text.split_once("..") {
        None => (number(text)?, number(text)?),
        Some((first, last)) => match last.strip_prefix('=') {
            Some(last) => (number(first)?, number(last)?),
            None => (number(first)?, number(last)?.saturating_sub(1)),
        },
    };
    if first > last {
        return Err(format!("{text:?} is an empty range of seeds"));
    }
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn seeds_are_a_number_or_a_range() {
        assert_eq!(parse_seeds("7"), Ok(7..=7));
        assert_eq!(parse_seeds("1..=8"), Ok(1..=8));
        assert_eq!(parse_seeds("1..8"), Ok(1..=7));
        for bad in ["", "a", "8..=1", "1..=", "-1", "3..3"] {
            assert!(parse_seeds(bad).is_err(), "{bad:?}");
        }
    }
}
