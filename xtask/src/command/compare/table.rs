//! The table of a comparison on the terminal.

use std::fmt::Write as _;

use crate::batch::{least, median};
use crate::output;
use crate::record::percentile;
use crate::rows::Summary;
use crate::table::{Column, Table};

const TABLE: Table<10> = Table::narrow([
    Column::left("scenario", 18),
    Column::left("peer", 21),
    Column::right("efficiency", 10),
    Column::right("worst", 6),
    Column::right("steady", 6),
    Column::right("goodput", 13),
    Column::right("time p50", 9),
    Column::right("time p95", 9),
    Column::right("delay p95", 9),
    Column::right("spurious", 8),
]);

/// Formats one row for each scenario and peer: medians over the seeds, and the minimum.
pub(super) fn table(summaries: &[Summary]) -> String {
    let mut text = TABLE.heading() + "\n";
    for group in summaries.chunk_by(|a, b| a.scenario == b.scenario && a.peer == b.peer) {
        let pick =
            |of: fn(&Summary) -> Option<f64>| group.iter().filter_map(of).collect::<Vec<_>>();
        let efficiency = pick(|run| run.efficiency_ratio);
        let goodput: Vec<u64> = group.iter().map(|run| run.goodput_bps).collect();
        let delay = pick(|run| run.queue_delay_p95_ns.map(|ns| ns as f64 / 1e6));
        // Only LFTP's own senders report round-trip samples and spurious retransmissions.
        let spurious = pick(|run| {
            run.rtt_min_ns?;
            let share = run.spurious_retransmissions as f64 / run.packets_sent.max(1) as f64;
            Some(share * 100.0)
        });
        // Of all seeds, the unfinished ones included: to leave them out would reward giving up.
        let [half, most] = [50, 95].map(|percent| time(group, percent));
        text += &TABLE.row([
            group[0].scenario.clone(),
            group[0].peer.clone().unwrap_or_else(|| "-".to_owned()),
            known(median(&efficiency), 3, ""),
            known(least(&efficiency), 3, ""),
            known(median(&pick(|run| run.steady_ratio)), 3, ""),
            output::mbit(median(&goodput).unwrap_or(0)),
            half,
            most,
            known(median(&delay), 1, " ms"),
            known(median(&spurious), 2, " %"),
        ]);
        let unfinished = group.iter().filter(|run| !run.intact).count();
        let _ = if unfinished > 0 {
            writeln!(text, "  {unfinished} of {} not finished", group.len())
        } else {
            writeln!(text)
        };
    }
    text
}

fn known(value: Option<f64>, places: usize, unit: &str) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.places$}{unit}"))
}

/// The time within which `percent` of the transfers finished. An unfinished one counts as slower
/// than any that finished.
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
    known(finished.map(|ns| ns as f64 / 1e9), 3, " s")
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
    fn an_unfinished_transfer_is_slower_than_every_finished_one() {
        let mut runs: Vec<Summary> = (1..=20).map(|seed| run(seed, true)).collect();
        assert_eq!(time(&runs, 50), "10.000 s");
        assert_eq!(time(&runs, 95), "19.000 s");
        runs[0].intact = false;
        runs[1].intact = false;
        assert_eq!(time(&runs, 50), "12.000 s");
        assert_eq!(time(&runs, 95), "-");
    }

    #[test]
    fn a_number_that_a_peer_does_not_report_is_a_dash() {
        let text = table(&[run(1, true), run(2, false)]);
        let line = text.lines().nth(1).expect("a line for the peer");
        assert!(
            line.contains("ours") && line.ends_with("-  1 of 2 not finished"),
            "{line}"
        );
    }
}
