//! Many runs side by side: a table of efficiency ([`Matrix`]) and rate against delay
//! ([`Scatter`], of panels and symbols).
//!
//! `mod.rs` groups the summaries by scenario and peer. Touch here what a comparison shows; axes,
//! legend and colours are those of [`chart`](super). Relies on the summaries alone.

mod matrix;
mod panel;
mod scatter;
mod symbol;

pub(crate) use matrix::{Cell, Matrix};
pub(crate) use panel::{Mark, Panel};
pub(crate) use scatter::Scatter;

use crate::rows::Summary;

/// The runs of one peer in one scenario, one a seed.
struct Group<'a> {
    scenario: &'a str,
    peer: &'a str,
    runs: Vec<&'a Summary>,
}

/// Efficiency of every peer in every scenario.
#[must_use]
pub(crate) fn efficiency(summaries: &[Summary]) -> Matrix {
    let groups = groups(summaries);
    let (rows, columns) = (
        distinct(&groups, peer_of),
        distinct(&groups, |group| group.scenario),
    );
    let cell = |peer: &String, scenario: &String| {
        let group = groups
            .iter()
            .find(|group| group.scenario == scenario && group.peer == peer)?;
        // A run that did not finish has no efficiency: counting it as 0 would mix it with slow
        // ones.
        let known = |run: &&Summary| run.efficiency_ratio.filter(|_| run.intact);
        let mut ratios: Vec<f64> = group.runs.iter().filter_map(known).collect();
        ratios.sort_by(f64::total_cmp);
        let failed = group.runs.len() - ratios.len();
        Some(Cell { ratios, failed })
    };
    let cells = rows
        .iter()
        .map(|row| columns.iter().map(|column| cell(row, column)).collect())
        .collect();
    Matrix {
        title: "Efficiency".to_owned(),
        subtitle: format!(
            "goodput as a share of what can survive the link, {} clock, {}",
            clock(summaries),
            seeds(summaries)
        ),
        columns,
        rows,
        cells,
    }
}

/// Goodput against queueing delay, a panel a scenario.
#[must_use]
pub(crate) fn delay(summaries: &[Summary]) -> Scatter {
    let groups = groups(summaries);
    let peers = distinct(&groups, peer_of);
    let panels = distinct(&groups, |group| group.scenario)
        .into_iter()
        .map(|scenario| {
            let of_it = || groups.iter().filter(|group| group.scenario == scenario);
            let runs = || of_it().flat_map(|group| &group.runs);
            let spot = |run: &&Summary| {
                // Without a delay it has no place in this chart.
                let delay = run.queue_delay_p95_ns?;
                run.intact.then_some((delay as f64, run.goodput_bps as f64))
            };
            let marks = of_it()
                .map(|group| Mark {
                    peer: peers
                        .iter()
                        .position(|peer| peer == group.peer)
                        .unwrap_or(0),
                    runs: group.runs.iter().filter_map(spot).collect(),
                })
                .filter(|mark| !mark.runs.is_empty())
                .collect();
            let achievable = runs().filter_map(|run| run.achievable_bps).max();
            Panel {
                achievable: achievable.map(|bps| bps as f64),
                marks,
                title: scenario.clone(),
            }
        })
        .collect();
    Scatter {
        title: "Goodput and queueing delay".to_owned(),
        subtitle: format!(
            "up: goodput; right: 95th percentile of the queueing delay; {} clock, {}",
            clock(summaries),
            seeds(summaries)
        ),
        peers,
        panels,
    }
}

fn groups(summaries: &[Summary]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for run in summaries {
        let (scenario, peer) = (
            run.scenario.as_str(),
            run.peer.as_deref().unwrap_or(&run.congestion),
        );
        let known = groups
            .iter()
            .position(|group| group.scenario == scenario && group.peer == peer);
        // Linear search: a comparison has some hundred groups, and their order is that of the runs.
        match known {
            Some(index) => groups[index].runs.push(run),
            None => groups.push(Group {
                scenario,
                peer,
                runs: vec![run],
            }),
        }
    }
    groups
}

fn peer_of<'a>(group: &Group<'a>) -> &'a str {
    group.peer
}

/// The distinct names in the order of their first occurrence.
fn distinct<'a>(groups: &[Group<'a>], name: impl Fn(&Group<'a>) -> &'a str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for group in groups {
        let name = name(group);
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn clock(summaries: &[Summary]) -> &str {
    match summaries.first() {
        Some(first) if summaries.iter().all(|run| run.clock == first.clock) => &first.clock,
        // Summaries of both clocks, as `--json` output that was joined.
        Some(_) => "either",
        None => "no",
    }
}

fn seeds(summaries: &[Summary]) -> String {
    let seeds = || summaries.iter().map(|run| run.seed);
    match (seeds().min(), seeds().max()) {
        (Some(from), Some(to)) if from < to => format!("seeds {from} to {to}"),
        (Some(seed), _) => format!("seed {seed}"),
        _ => "no seed".to_owned(),
    }
}

/// The middle value of sorted ones; the lower of two.
fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(scenario: &str, peer: &str, seed: u64, ratio: f64, intact: bool) -> Summary {
        Summary {
            scenario: scenario.to_owned(),
            clock: "virtual".to_owned(),
            seed,
            peer: Some(peer.to_owned()),
            intact,
            efficiency_ratio: Some(ratio),
            queue_delay_p95_ns: Some(1_000_000),
            goodput_bps: 5_000_000,
            ..Summary::default()
        }
    }

    #[test]
    fn seeds_of_one_peer_share_a_cell_and_failures_are_counted() {
        let runs = [
            run("lossy", "ours", 1, 0.9, true),
            run("lossy", "ours", 2, 0.8, true),
            run("lossy", "seed", 1, 0.1, false),
            run("clean", "ours", 1, 0.97, true),
        ];
        let matrix = efficiency(&runs);
        assert_eq!(matrix.rows, ["ours", "seed"]);
        assert_eq!(matrix.columns, ["lossy", "clean"]);
        let cell = |column: usize, row: usize| matrix.cells[row][column].clone();
        assert_eq!(
            cell(0, 0),
            Some(Cell {
                ratios: vec![0.8, 0.9],
                failed: 0
            })
        );
        assert_eq!(
            cell(0, 1),
            Some(Cell {
                ratios: vec![],
                failed: 1
            })
        );
        assert_eq!(cell(1, 1), None);
        assert!(matrix.subtitle.ends_with("seeds 1 to 2"));
        let scatter = delay(&runs);
        assert_eq!(scatter.panels.len(), 2);
        assert_eq!(scatter.panels[0].marks.len(), 1, "a failed run is left out");
    }

    #[test]
    fn the_median_is_a_value_that_occurs() {
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
        assert_eq!(median(&[1.0, 2.0]), Some(1.0));
        assert_eq!(median(&[]), None);
    }
}
