//! What the gate has to say about one scenario.

use std::fmt::Write as _;

use super::baseline::{Baseline, GoldenRow};
use crate::batch::{least, median};
use crate::rows::Summary;
use crate::scenario::Scenario;

/// The least median ratio of goodput to the baseline's.
const LEAST_RATIO: f64 = 0.98;

/// One scenario's numbers, and what is wrong with them.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    scenario: String,
    ratio: Option<f64>,
    efficiency: Option<f64>,
    worst_efficiency: Option<f64>,
    floor: f64,
    intact: bool,
    drifted: bool,
    /// In words, each with the command that shows it.
    pub(super) faults: Vec<String>,
}

impl Verdict {
    /// Whether what was measured is good enough to become a baseline.
    pub(super) fn holds_without_baseline(&self) -> bool {
        self.intact
            && self
                .efficiency
                .is_none_or(|efficiency| efficiency >= self.floor)
    }
}

/// Compares what was measured now with the baseline and the floor.
pub(super) fn judge(scenario: &Scenario, now: &[Summary], baseline: &Baseline) -> Verdict {
    let name = &scenario.name;
    let floor = scenario
        .gate
        .as_ref()
        .map_or(0.0, |gate| gate.floor.fraction());
    let efficiencies: Vec<f64> = now.iter().filter_map(|run| run.efficiency_ratio).collect();
    let pairs: Vec<(f64, u64)> = now
        .iter()
        .filter_map(|run| {
            let before = baseline.goodput(name, run.seed)?;
            Some((run.goodput_bps as f64 / before.max(1) as f64, run.seed))
        })
        .collect();
    let ratios: Vec<f64> = pairs.iter().map(|&(ratio, _)| ratio).collect();
    let mut verdict = Verdict {
        scenario: name.clone(),
        ratio: median(&ratios),
        efficiency: median(&efficiencies),
        worst_efficiency: least(&efficiencies),
        floor,
        intact: now.iter().all(|run| run.intact),
        drifted: false,
        faults: Vec::new(),
    };
    let again = |seed: u64| {
        format!(
            "cargo xtask scenario {} --clock virtual --seed {seed}",
            scenario.arguments()
        )
    };
    if let Some(broken) = now.iter().find(|run| !run.intact) {
        let why = broken
            .failure
            .as_deref()
            .unwrap_or("the file did not arrive whole");
        verdict
            .faults
            .push(format!("{name}: {why}: {}", again(broken.seed)));
    }
    if pairs.len() < now.len() {
        verdict.faults.push(format!(
            "{name}: the baseline lacks it; cargo xtask gate {name} --bless"
        ));
    }
    let worst = pairs
        .iter()
        .copied()
        .reduce(|a, b| if b.0 < a.0 { b } else { a });
    if let (Some(ratio), Some((worst_ratio, seed))) = (verdict.ratio, worst)
        && ratio < LEAST_RATIO
    {
        verdict.faults.push(format!(
            "{name}: the median goodput is {ratio:.3} of the baseline's ({LEAST_RATIO} is the \
             least), at worst {worst_ratio:.3}: {}",
            again(seed)
        ));
    }
    if let Some(efficiency) = verdict.efficiency
        && efficiency < floor
    {
        let seed = worst_seed(now);
        verdict.faults.push(format!(
            "{name}: the median efficiency is {efficiency:.3}, the floor is {floor:.3}: {}",
            again(seed)
        ));
    }
    check_golden(&mut verdict, now, baseline, again);
    verdict
}

fn worst_seed(now: &[Summary]) -> u64 {
    now.iter()
        .min_by_key(|run| run.goodput_bps)
        .map_or(1, |run| run.seed)
}

fn check_golden(
    verdict: &mut Verdict,
    now: &[Summary],
    baseline: &Baseline,
    again: impl Fn(u64) -> String,
) {
    for golden in baseline.golden(&verdict.scenario) {
        let Some(run) = now.iter().find(|run| run.seed == golden.seed) else {
            continue;
        };
        let row = GoldenRow::of(run);
        if row != *golden {
            verdict.drifted = true;
            verdict.faults.push(format!(
                "{}: seed {} is no longer the same run, to the last digit: {}",
                verdict.scenario,
                golden.seed,
                again(golden.seed)
            ));
            // One says it; the others would only repeat it.
            break;
        }
    }
}

/// All verdicts, for people.
pub(super) fn table(verdicts: &[Verdict]) -> String {
    let width = verdicts
        .iter()
        .map(|verdict| verdict.scenario.len())
        .max()
        .unwrap_or(0);
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
    let mut text = format!(
        "{:width$}  ratio  efficiency  worst  floor  golden\n",
        "scenario"
    );
    for verdict in verdicts {
        let _ = writeln!(
            text,
            "{:width$}  {:>5}  {:>10}  {:>5}  {:>5.3}  {}{}",
            verdict.scenario,
            number(verdict.ratio),
            number(verdict.efficiency),
            number(verdict.worst_efficiency),
            verdict.floor,
            if verdict.drifted { "differs" } else { "same" },
            if verdict.intact { "" } else { "  NOT INTACT" },
        );
    }
    text
}
