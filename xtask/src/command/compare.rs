//! `cargo xtask compare`: several transports, the same networks, the same losses.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::{CommandError, parse_seeds};
use crate::batch::{self, least, median};
use crate::exit::Exit;
use crate::output;
use crate::record::Detail;
use crate::rows::Summary;
use crate::run::{Clock, Plan};
use crate::{chart, scenario};

/// Run several transports through the same networks and the same losses.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Peers: lftp (the scenario's own transport), lftp-NAME for each \
    congestion control, seed (classic and go-back-n, a window of 16)."
)]
pub(super) struct Compare {
    /// Scenarios.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Who is run.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "lftp,lftp-cubic,lftp-newreno,lftp-classic"
    )]
    peers: Vec<String>,
    /// With which seeds.
    #[arg(long, value_name = "A..=B", value_parser = parse_seeds, default_value = "1..=8")]
    seeds: std::ops::RangeInclusive<u64>,
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
        let mut plans = Vec::new();
        let mut peers = Vec::new();
        for name in &self.names {
            for peer in &self.peers {
                let mut changes = self.changes.clone();
                changes.extend(changes_of(peer)?);
                let scenario = scenario::load(name, &changes)?;
                for seed in self.seeds.clone() {
                    peers.push(peer.clone());
                    plans.push(Plan {
                        scenario: scenario.clone(),
                        seed,
                        clock: Clock::Virtual,
                        detail: Detail::Summary,
                        file: None,
                    });
                }
            }
        }
        let mut summaries = batch::run_all("compare", &plans)?;
        for (summary, peer) in summaries.iter_mut().zip(peers) {
            summary.peer = Some(peer);
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
        chart::write_compare(&folder, &summaries)
            .map_err(|error| CommandError::file(&folder, error))?;
        eprint!("{}", table(&summaries));
        eprintln!("written to {}", folder.display());
        Ok(Exit::Ok)
    }
}

/// What makes a peer of a scenario.
fn changes_of(peer: &str) -> Result<Vec<String>, CommandError> {
    let set = |changes: &[&str]| changes.iter().map(|&change| change.to_owned()).collect();
    if let Some(name) = peer.strip_prefix("lftp-") {
        return Ok(vec![format!("transport.congestion={name}")]);
    }
    match peer {
        "lftp" => Ok(Vec::new()),
        "seed" => Ok(set(&[
            "transport.congestion=classic",
            "transport.recovery=go-back-n",
            "transport.fixed_window=16p",
            "transport.max_datagram=1047B",
        ])),
        other => Err(CommandError::Usage(format!(
            "there is no peer {other:?}; there are lftp, lftp-bbr, lftp-cubic, lftp-newreno, \
             lftp-classic and seed"
        ))),
    }
}

/// One line a scenario and peer: median and worst over the seeds.
fn table(summaries: &[Summary]) -> String {
    let mut text = format!(
        "{:18} {:14} {:>10} {:>7} {:>7} {:>12} {:>10} {:>9}\n",
        "scenario", "peer", "efficiency", "worst", "steady", "goodput", "rtt p95", "spurious"
    );
    for group in summaries.chunk_by(|a, b| a.scenario == b.scenario && a.peer == b.peer) {
        let pick =
            |of: fn(&Summary) -> Option<f64>| group.iter().filter_map(of).collect::<Vec<_>>();
        let efficiency = pick(|run| run.efficiency_ratio);
        let share =
            |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
        let millis =
            median(&pick(|run| run.rtt_p95_ns.map(|ns| ns as f64 / 1e6))).unwrap_or_default();
        let goodput: Vec<u64> = group.iter().map(|run| run.goodput_bps).collect();
        let whole = group.iter().filter(|run| run.intact).count();
        let spurious = pick(|run| {
            Some(run.spurious_retransmissions as f64 / run.packets_sent.max(1) as f64 * 100.0)
        });
        let _ = write!(
            text,
            "{:18} {:14} {:>10} {:>7} {:>7} {:>12} {:>7.1} ms {:>7.2} %",
            group[0].scenario,
            group[0].peer.as_deref().unwrap_or("-"),
            share(median(&efficiency)),
            share(least(&efficiency)),
            share(median(&pick(|run| run.steady_ratio))),
            output::mbit(median(&goodput).unwrap_or(0)),
            millis,
            median(&spurious).unwrap_or_default(),
        );
        let unfinished = group.len() - whole;
        let _ = if unfinished > 0 {
            writeln!(text, "  {unfinished} of {} not finished", group.len())
        } else {
            writeln!(text)
        };
    }
    text
}
