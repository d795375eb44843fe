//! The subcommands, one a file: arguments, the runs they ask for, and what is printed.
//!
//! `compare` and `loopback` go through `with_peers` when they need other transports. The
//! subcommands rely on every other module of the bench; none relies on them.

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
mod with_peers;

use clap::{Parser, Subcommand};

use crate::error::CommandError;
use crate::exit::Exit;

/// Runs LFTP through emulated networks, measures it, and guards against regressions.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, after_help = Exit::HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the scenarios.
    List(list::List),
    /// Run a scenario: transfer a file through its network, and write traces and charts.
    Scenario(scenario::RunScenario),
    /// Compare with the committed baseline, and refuse a regression.
    Gate(gate::Gate),
    /// Run several transports through the same networks and the same losses.
    Compare(compare::Compare),
    /// Find the first packet or state in which two runs differ.
    Diff(diff::Diff),
    /// Transfer files while machines crash, disks fail and the network is at its worst.
    #[cfg(target_os = "linux")]
    Faults(faults::Faults),
    /// Run a grid of scenarios.
    Sweep(sweep::Sweep),
    /// Join the results of a sweep's shards.
    Merge(sweep::Merge),
    /// Measure how fast scenarios run in virtual time, on one core.
    Speed(speed::Speed),
    /// Measure the cost of transports over real sockets on the loopback interface.
    Loopback(loopback::Loopback),
    /// Run everything that must pass before a change lands.
    Ci(ci::Ci),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// [`CommandError`] when it cannot be performed. A command that ran and found something
    /// wrong says so by its exit code.
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

/// The cargo that started this program, or the one on the path.
fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Parses a range of seeds: `A..=B`, `A..B` or `A`.
fn parse_seeds(text: &str) -> Result<std::ops::RangeInclusive<u64>, String> {
    let number = |part: &str| {
        part.trim().parse::<u64>().map_err(|_| {
            format!("{text:?} is not a range of seeds; write for example 1..=8, or one number")
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
