//! The comparison as a table for people.

use std::fmt::Write as _;

use crate::batch::{least, median};
use crate::output;
use crate::record::percentile;
use crate::rows::Summary;

/// One line a scenario and peer, over the seeds: medians, and the worst.
pub(super) fn table(summaries: &[Summary]) -> String {
    let mut text = format!(
        "{:18} {:21} {:>10} {:>6} {:>6} {:>13} {:>9} {:>9} {:>9} {:>8}\n",
        "scenario",
        "peer",
        "efficiency",
        "worst",
        "steady",
        "goodput",
        "time p50",
        "time p95",
        "delay p95",
        "spurious"
    );
    for group in summaries.chunk_by(|a, b| a.scenario == b.scenario && a.peer == b.peer) {
        let pick =
            |of: fn(&Summary) -> Option<f64>| group.iter().filter_map(of).collect::<Vec<_>>();
        let efficiency = pick(|run| run.efficiency_ratio);
        let goodput: Vec<u64> = group.iter().map(|run| run.goodput_bps).collect();
        let delay = pick(|run| run.queue_delay_p95_ns.map(|ns| ns as f64 / 1e6));
        // Only LFTP's own senders tell their samples, and which losses were none.
        let spurious = pick(|run| {
            run.rtt_min_ns?;
            let share = run.spurious_retransmissions as f64 / run.packets_sent.max(1) as f64;
            Some(share * 100.0)
        });
        let [half, most] = [50, 95].map(|percent| time(group, percent));
        let _ = write!(
            text,
            "{:18} {:21} {:>10} {:>6} {:>6} {:>13} {half:>9} {most:>9} {:>9} {:>8}",
            group[0].scenario,
            group[0].peer.as_deref().unwrap_or("-"),
            told(median(&efficiency), 3, ""),
            told(least(&efficiency), 3, ""),
            told(median(&pick(|run| run.steady_ratio)), 3, ""),
            output::mbit(median(&goodput).unwrap_or(0)),
            told(median(&delay), 1, " ms"),
            told(median(&spurious), 2, " %"),
        );
        let unfinished = group.iter().filter(|run| !run.intact).count();
        let _ = if unfinished > 0 {
            writeln!(text, "  {unfinished} of {} not finished", group.len())
        } else {
            writeln!(text)
        };
    }
    text
}

fn told(value: Option<f64>, places: usize, unit: &str) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.places$}{unit}"))
}

/// The time within which so many of the transfers were over. One that did not finish took longer
/// than any that did.
fn time(group: &[Summary], percent: usize) -> String {
    let mut times: Vec<u64> = group
        .iter()
        .map(|run| {
            if run.intact {
                run.duration_ns
            } else {
                u64::MAX
            }
        })
        .collect();
    times.sort_unstable();
    let finished = percentile(&times, percent).filter(|&ns| ns < u64::MAX);
    told(finished.map(|ns| ns as f64 / 1e9), 3, " s")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64, intact: bool) -> Summary {
        Summary {
            scenario: "lossy".to_owned(),
            peer: Some("ours".to_owned()),
            seed,
            intact,
            duration_ns: seed * 1_000_000_000,
            efficiency_ratio: Some(0.5),
            ..Summary::default()
        }
    }

    #[test]
    fn a_transfer_that_did_not_finish_is_slower_than_all_that_did() {
        let mut runs: Vec<Summary> = (1..=20).map(|seed| run(seed, true)).collect();
        assert_eq!(time(&runs, 50), "10.000 s");
        assert_eq!(time(&runs, 95), "19.000 s");
        runs[0].intact = false;
        runs[1].intact = false;
        assert_eq!(time(&runs, 50), "12.000 s");
        assert_eq!(time(&runs, 95), "-");
    }

    #[test]
    fn what_a_peer_does_not_tell_is_left_open() {
        let text = table(&[run(1, true), run(2, false)]);
        let line = text.lines().nth(1).expect("a line for the peer");
        assert!(
            line.contains("ours") && line.ends_with("-  1 of 2 not finished"),
            "{line}"
        );
    }
}
