//! `cargo xtask compare`: several transports, the same networks, the same losses.

mod table;

use std::path::PathBuf;

use lftp_transport::Congestion;

use super::{CommandError, parse_seeds};
use crate::batch;
use crate::exit::Exit;
use crate::output;
use crate::peer::{self, Peer};
use crate::record::Detail;
use crate::rows::Summary;
use crate::run::{Clock, Plan, Tap};
use crate::{chart, report, scenario};

/// Help on the peers, with the congestion controls that LFTP has.
fn peers_help() -> String {
    let own = Congestion::names();
    format!(
        "Peers:
  lftp           the scenario's own transport
  lftp-NAME      with another congestion control: {own}
{OTHER_PEERS}"
    )
}

/// Help on the peers that are not LFTP with a congestion control.
const OTHER_PEERS: &str = "  seed           classic and go-back-n, a window of 16
  quinn-NAME     cubic, newreno or bbr; windows that the path cannot fill, and packets as large
                 as it takes
  quinn-NAME-default
                 as quinn comes
  s2n-NAME       s2n-quic: cubic or bbr; windows that the path cannot fill
  kcp            its fast mode without a congestion window, windows of four bandwidth-delay
                 products, nothing encrypted
  tcp-NAME       the kernel's TCP: cubic, bbr or reno, between two network namespaces; buffers of
                 eight bandwidth-delay products, nothing encrypted. Linux, and root
  all            all that there are on the clock

In virtual time all but TCP run through the same losses, and a seed gives the same run again. In
real time there are LFTP and TCP, one run after another; a run that was late counts for nothing.
What a scenario says of the transport is for LFTP alone. A transfer that does not end within the
scenario's limit is no error: it counts as not finished.

Example, a small fetch:
  cargo xtask compare lossy-10pct --peers lftp,quinn-bbr --set transfer.size=1MiB --seeds 1..=200
Beside the kernel's TCP:
  cargo xtask compare lossy-1pct --clock real --peers lftp,tcp-cubic,tcp-bbr --seeds 1..=2";

/// Run several transports through the same networks and the same losses.
#[derive(Debug, clap::Args)]
#[command(after_help = peers_help())]
pub(super) struct Compare {
    /// Scenarios.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Who is run.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "lftp,lftp-cubic,lftp-newreno,lftp-classic,quinn-cubic,quinn-newreno,\
                         quinn-bbr,s2n-cubic,s2n-bbr"
    )]
    peers: Vec<String>,
    /// With which seeds.
    #[arg(long, value_name = "A..=B", value_parser = parse_seeds, default_value = "1..=8")]
    seeds: std::ops::RangeInclusive<u64>,
    /// Whose time passes.
    #[arg(long, value_enum, default_value_t = Clock::Virtual)]
    clock: Clock,
    /// Change any key of the scenarios: network.loss=20%.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    changes: Vec<String>,
    /// Where the table and the charts go. Default: reports/compare in the repository.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one line of JSON a run on standard output, and nothing else.
    #[arg(long)]
    json: bool,
}

impl Compare {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let entries = self.entries()?;
        let mut summaries = match self.clock {
            Clock::Virtual => batch::run_each("compare", &entries, Entry::run)?,
            // Two at once would be late.
            Clock::Real => entries.iter().map(Entry::run).collect::<Result<_, _>>()?,
        };
        for (summary, entry) in summaries.iter_mut().zip(entries) {
            summary.peer = Some(entry.name);
            if self.json {
                println!("{}", output::json_line(summary));
            }
        }
        let folder = self
            .out
            .clone()
            .unwrap_or_else(|| scenario::workspace().join("reports/compare"));
        std::fs::create_dir_all(&folder).map_err(|error| CommandError::file(&folder, error))?;
        output::write_csv(&folder.join("compare.csv"), &summaries)?;
        let exit = refuse_invalid(&summaries);
        summaries.retain(|summary| summary.valid);
        if summaries.is_empty() {
            return Ok(exit);
        }
        chart::write_compare(&folder, &summaries)
            .map_err(|error| CommandError::file(&folder, error))?;
        let table = table::table(&summaries);
        report::write_compare(&folder, &summaries, &table, &self.command())
            .map_err(|error| CommandError::file(&folder, error))?;
        eprint!("{table}");
        eprintln!("report       {}", folder.join("report.html").display());
        Ok(exit)
    }

    /// The command that makes the comparison again.
    fn command(&self) -> String {
        let changes = self
            .changes
            .iter()
            .map(|change| format!(" --set '{change}'"));
        format!(
            "cargo xtask compare {} --peers {} --seeds {}..={}{}{}",
            self.names.join(" "),
            self.peers.join(","),
            self.seeds.start(),
            self.seeds.end(),
            match self.clock {
                Clock::Virtual => "",
                Clock::Real => " --clock real",
            },
            changes.collect::<String>()
        )
    }

    /// Every run: scenario by scenario, peer by peer, seed by seed.
    fn entries(&self) -> Result<Vec<Entry>, CommandError> {
        let names = if self.peers.iter().any(|name| name == "all") {
            Peer::all(self.clock)
        } else {
            self.peers.clone()
        };
        let mut entries = Vec::new();
        for scenario in &self.names {
            for name in &names {
                let peer = named(name, self.clock)?;
                let mut changes = self.changes.clone();
                if let Peer::Lftp(own) = &peer {
                    changes.extend(own.iter().cloned());
                }
                let scenario = scenario::load(scenario, &changes)?;
                entries.extend(self.seeds.clone().map(|seed| Entry {
                    name: name.clone(),
                    peer: peer.clone(),
                    plan: Plan {
                        scenario: scenario.clone(),
                        seed,
                        clock: self.clock,
                        detail: Detail::Summary,
                        file: None,
                        tap: Tap::default(),
                    },
                }));
            }
        }
        Ok(entries)
    }
}

/// One run of one peer.
struct Entry {
    name: String,
    peer: Peer,
    plan: Plan,
}

impl Entry {
    fn run(&self) -> Result<Summary, CommandError> {
        match &self.peer {
            Peer::Lftp(_) => batch::run(&self.plan),
            Peer::Foreign(foreign) => match peer::run(&self.plan, *foreign) {
                Ok(record) => Ok(record.summary),
                Err(source) => Err(CommandError::Run {
                    command: peer::command(&self.plan, *foreign),
                    source,
                }),
            },
        }
    }
}

/// A run that was late says nothing about anybody: it is in the table of runs, and nowhere else.
fn refuse_invalid(summaries: &[Summary]) -> Exit {
    let invalid: Vec<&Summary> = summaries.iter().filter(|run| !run.valid).collect();
    for run in &invalid {
        let peer = run.peer.as_deref().unwrap_or_default();
        eprintln!(
            "invalid: {peer} on {}, seed {}: {}",
            run.scenario, run.seed, run.validity
        );
    }
    if invalid.is_empty() {
        Exit::Ok
    } else {
        Exit::Invalid
    }
}

fn named(name: &str, clock: Clock) -> Result<Peer, CommandError> {
    let Some(peer) = Peer::named(name) else {
        return Err(CommandError::Usage(format!(
            "there is no peer {name:?}; there are {}, and all; with --clock real {}",
            Peer::all(Clock::Virtual).join(", "),
            Peer::all(Clock::Real).join(", ")
        )));
    };
    match &peer {
        Peer::Foreign(foreign) if foreign.clock() != clock => Err(CommandError::Usage(format!(
            "{name} runs in {} time only: say --clock {0}, or leave it out",
            foreign.clock()
        ))),
        _ => Ok(peer),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        compare: Compare,
    }

    fn entries(line: &str) -> Result<Vec<Entry>, CommandError> {
        Line::parse_from(line.split(' ')).compare.entries()
    }

    #[test]
    fn every_peer_runs_every_seed_of_every_scenario() {
        let all = entries("compare lossy-1pct satellite --peers all --seeds 1..=3").unwrap();
        assert_eq!(all.len(), 2 * Peer::all(Clock::Virtual).len() * 3);
        let usual = entries("compare lossy-1pct --seeds 7").unwrap();
        for name in [
            "lftp",
            "quinn-cubic",
            "quinn-newreno",
            "quinn-bbr",
            "s2n-bbr",
        ] {
            let found = usual.iter().filter(|entry| entry.name == name).count();
            assert_eq!(found, 1, "{name}");
        }
    }

    #[test]
    fn a_peer_that_is_not_there_is_told_with_those_that_are() {
        let told = entries("compare lossy-1pct --peers quicn").err().unwrap();
        let told = told.to_string();
        assert!(told.contains("\"quicn\"") && told.contains("s2n-bbr, kcp, and all"));
        assert!(told.contains("tcp-reno"));
    }

    #[test]
    fn a_peer_that_the_clock_does_not_suit_is_told_which_does() {
        let told = |line| entries(line).err().unwrap().to_string();
        let tcp = told("compare lossy-1pct --peers lftp,tcp-bbr");
        assert!(
            tcp.contains("tcp-bbr runs in real time only: say --clock real"),
            "{tcp}"
        );
        let quinn = told("compare lossy-1pct --peers quinn-bbr --clock real");
        assert!(
            quinn.contains("quinn-bbr runs in virtual time only"),
            "{quinn}"
        );
        let all = entries("compare lossy-1pct --peers all --seeds 1 --clock real").unwrap();
        assert!(all.iter().any(|entry| entry.name == "tcp-cubic"));
        assert!(all.iter().all(|entry| entry.plan.clock == Clock::Real));
    }
}
