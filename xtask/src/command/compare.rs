//! `cargo xtask compare`: several transports, the same networks, the same losses.

mod table;

use std::path::PathBuf;

use lftp_transport::Congestion;

use super::parse_seeds;
use super::with_peers::{self, HAS_PEERS};
use crate::batch;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::peer::{self, Peer};
use crate::record::Detail;
use crate::rows::Summary;
use crate::run::{Clock, Plan, Tap};
use crate::{chart, report, scenario};

/// The part of `--help` about the peers, with the congestion controls of LFTP.
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
const OTHER_PEERS: &str =
    "  seed           what LFTP started from: classic and go-back-n, a window of 16
  quinn-NAME     cubic, newreno or bbr; windows that the path cannot fill, and packets as large
                 as it takes
  quinn-NAME-default
                 quinn's defaults
  s2n-NAME       s2n-quic: cubic or bbr; windows that the path cannot fill
  kcp            its fast mode without a congestion window, windows of four bandwidth-delay
                 products, nothing encrypted
  tcp-NAME       the kernel's TCP: cubic, bbr or reno, between two network namespaces; buffers of
                 eight bandwidth-delay products, nothing encrypted. Linux, and root
  all            all of them that run on the clock

In virtual time all but TCP run, through the same losses, and a seed repeats the same run. In real
time LFTP and TCP run, one after another; a run that was late is left out. A scenario's [transport]
applies to LFTP only. A transfer that does not end within the scenario's limit is not an error: it
counts as not finished.

Example with small files:
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
    /// The transports.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "lftp,lftp-cubic,lftp-newreno,lftp-classic,quinn-cubic,quinn-newreno,\
                         quinn-bbr,s2n-cubic,s2n-bbr"
    )]
    peers: Vec<String>,
    /// The seeds.
    #[arg(long, value_name = "A..=B", value_parser = parse_seeds, default_value = "1..=8")]
    seeds: std::ops::RangeInclusive<u64>,
    /// The clock.
    #[arg(long, value_enum, default_value_t = Clock::Virtual)]
    clock: Clock,
    /// Change any key of the scenarios: network.loss=20%.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    changes: Vec<String>,
    /// The folder for the table and the charts. Default: reports/compare in the repository.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one line of JSON a run on standard output, and nothing else.
    #[arg(long)]
    json: bool,
}

impl Compare {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let entries = self.entries()?;
        // After the arguments are known to be good: a typing error is not worth a build.
        if !HAS_PEERS && entries.iter().any(Entry::needs_peers) {
            return with_peers::run_again("compare");
        }
        let mut summaries = match self.clock {
            Clock::Virtual => batch::run_each("compare", &entries, Entry::run)?,
            // Two runs at once would disturb each other's clock.
            Clock::Real => entries.iter().map(Entry::run).collect::<Result<_, _>>()?,
        };
        for (summary, entry) in summaries.iter_mut().zip(entries) {
            summary.peer = Some(entry.name);
            if self.json {
                lftp_console::outln!("{}", output::json_line(summary))?;
            }
        }
        let folder = self
            .out
            .clone()
            .unwrap_or_else(|| scenario::workspace().join("reports/compare"));
        std::fs::create_dir_all(&folder).map_err(|error| CommandError::file(&folder, error))?;
        output::write_csv(&folder.join("compare.csv"), &summaries)?;
        // After the CSV file, which keeps them: the reason of a late run is in its row.
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
        lftp_console::note!("{table}");
        lftp_console::noteln!("report       {}", folder.join("report.html").display());
        Ok(exit)
    }

    /// The command that repeats the comparison.
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
                    // The peer's own settings last: `lftp-cubic` is CUBIC whatever `--set` says.
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
    const fn needs_peers(&self) -> bool {
        matches!(self.peer, Peer::Foreign(_))
    }

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

/// Reports the runs that were late; they stay in `compare.csv` and are left out of the rest.
fn refuse_invalid(summaries: &[Summary]) -> Exit {
    let invalid: Vec<&Summary> = summaries.iter().filter(|run| !run.valid).collect();
    for run in &invalid {
        let peer = run.peer.as_deref().unwrap_or_default();
        lftp_console::noteln!(
            "invalid: {peer} on {}, seed {}: {}",
            run.scenario,
            run.seed,
            run.validity
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
            "unknown peer {name:?}; known are {}, and all; with --clock real {}",
            Peer::all(Clock::Virtual).join(", "),
            Peer::all(Clock::Real).join(", ")
        )));
    };
    match &peer {
        Peer::Foreign(foreign) if foreign.clock() != clock => Err(CommandError::Usage(format!(
            "{name} runs in {} time only: add --clock {0}, or remove it",
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
    fn an_unknown_peer_is_reported_with_the_known_ones() {
        let message = entries("compare lossy-1pct --peers quicn").err().unwrap();
        let message = message.to_string();
        assert!(message.contains("\"quicn\"") && message.contains("s2n-bbr, kcp"));
        assert!(message.contains("tcp-reno"));
    }

    #[test]
    fn a_peer_on_the_wrong_clock_is_reported_with_the_right_one() {
        let message = |line| entries(line).err().unwrap().to_string();
        let tcp = message("compare lossy-1pct --peers lftp,tcp-bbr");
        assert!(
            tcp.contains("tcp-bbr runs in real time only: add --clock real"),
            "{tcp}"
        );
        let quinn = message("compare lossy-1pct --peers quinn-bbr --clock real");
        assert!(
            quinn.contains("quinn-bbr runs in virtual time only"),
            "{quinn}"
        );
        let all = entries("compare lossy-1pct --peers all --seeds 1 --clock real").unwrap();
        assert!(all.iter().any(|entry| entry.name == "tcp-cubic"));
        assert!(all.iter().all(|entry| entry.plan.clock == Clock::Real));
    }
}
