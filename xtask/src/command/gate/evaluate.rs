//! The comparison of one scenario with the baseline and its floor.

use super::baseline::{Baseline, GoldenRow};
use crate::batch::{least, median};
use crate::rows::Summary;
use crate::scenario::Scenario;
use crate::table::{Column, Table};

/// The lowest permitted median ratio of goodput to the baseline's.
const LEAST_RATIO: f64 = 0.98;

/// One scenario's numbers and faults.
#[derive(Clone, Debug)]
pub(super) struct Evaluation {
    scenario: String,
    ratio: Option<f64>,
    efficiency: Option<f64>,
    worst_efficiency: Option<f64>,
    floor: f64,
    intact: bool,
    golden: Golden,
    /// Messages, each with the command that shows the fault.
    pub(super) faults: Vec<String>,
}

/// The runs of now beside the golden runs, which must be the same to the last digit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Golden {
    /// The baseline has no golden run of the scenario.
    NotCompared,
    Same,
    Differs,
}

impl Golden {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NotCompared => "-",
            Self::Same => "same",
            Self::Differs => "differs",
        }
    }
}

impl Evaluation {
    /// Returns true if the measurements are good enough to become a baseline.
    pub(super) fn holds_without_baseline(&self) -> bool {
        self.intact
            && self
                .efficiency
                .is_none_or(|efficiency| efficiency >= self.floor)
    }
}

/// Compares what was measured now with the baseline and the floor.
pub(super) fn evaluate(scenario: &Scenario, now: &[Summary], baseline: &Baseline) -> Evaluation {
    let name = &scenario.name;
    let floor = scenario
        .gate
        .as_ref()
        .map_or(0.0, |gate| gate.floor.fraction());
    let efficiencies: Vec<f64> = now.iter().filter_map(|run| run.efficiency_ratio).collect();
    let pairs: Vec<(f64, u64)> = now
        .iter()
        .filter_map(|run| {
            // Seed by seed: the losses are the same, so that their chance cancels out of the ratio.
            let before = baseline.goodput(name, run.seed)?;
            Some((run.goodput_bps as f64 / before.max(1) as f64, run.seed))
        })
        .collect();
    let ratios: Vec<f64> = pairs.iter().map(|&(ratio, _)| ratio).collect();
    let mut evaluation = Evaluation {
        scenario: name.clone(),
        // The median, not the mean: one seed whose last packet was lost twice must not decide.
        ratio: median(&ratios),
        efficiency: median(&efficiencies),
        worst_efficiency: least(&efficiencies),
        floor,
        intact: now.iter().all(|run| run.intact),
        golden: Golden::NotCompared,
        faults: Vec::new(),
    };
    let command = |seed: u64| {
        format!(
            "cargo xtask scenario {} --clock virtual --seed {seed}",
            scenario.arguments()
        )
    };
    if let Some(broken) = now.iter().find(|run| !run.intact) {
        let why = broken
            .failure
            .as_deref()
            .unwrap_or("the file did not arrive intact");
        evaluation
            .faults
            .push(format!("{name}: {why}: {}", command(broken.seed)));
    }
    // A fault and not a pass: a scenario without a baseline is not watched.
    if pairs.len() < now.len() {
        evaluation.faults.push(format!(
            "{name}: the baseline lacks it; cargo xtask gate {name} --bless"
        ));
    }
    let worst = pairs
        .iter()
        .copied()
        .reduce(|a, b| if b.0 < a.0 { b } else { a });
    if let (Some(ratio), Some((worst_ratio, seed))) = (evaluation.ratio, worst)
        && ratio < LEAST_RATIO
    {
        evaluation.faults.push(format!(
            "{name}: the median goodput is {ratio:.3} of the baseline's ({LEAST_RATIO} is the \
             least), at worst {worst_ratio:.3}: {}",
            command(seed)
        ));
    }
    if let Some(efficiency) = evaluation.efficiency
        && efficiency < floor
    {
        let seed = worst_seed(now);
        evaluation.faults.push(format!(
            "{name}: the median efficiency is {efficiency:.3}, the floor is {floor:.3}: {}",
            command(seed)
        ));
    }
    check_golden(&mut evaluation, now, baseline, command);
    evaluation
}

fn worst_seed(now: &[Summary]) -> u64 {
    now.iter()
        .min_by_key(|run| run.goodput_bps)
        .map_or(1, |run| run.seed)
}

fn check_golden(
    evaluation: &mut Evaluation,
    now: &[Summary],
    baseline: &Baseline,
    command: impl Fn(u64) -> String,
) {
    for golden in baseline.golden(&evaluation.scenario) {
        // The golden seeds are part of those that are run; a baseline with others is an old one.
        let Some(run) = now.iter().find(|run| run.seed == golden.seed) else {
            continue;
        };
        evaluation.golden = Golden::Same;
        if GoldenRow::of(run) != *golden {
            evaluation.golden = Golden::Differs;
            evaluation.faults.push(format!(
                "{}: seed {} is no longer the same run, to the last digit: {}",
                evaluation.scenario,
                golden.seed,
                command(golden.seed)
            ));
            // One message is enough; the others would repeat it.
            break;
        }
    }
}

/// Formats all results as a table.
pub(super) fn table(evaluations: &[Evaluation]) -> String {
    let widths = evaluations
        .iter()
        .map(|evaluation| evaluation.scenario.len());
    let table = Table::new([
        Column::left("scenario", widths.max().unwrap_or(0)),
        Column::right("ratio", 5),
        Column::right("efficiency", 10),
        Column::right("worst", 5),
        Column::right("floor", 5),
        Column::left("golden", 0),
        Column::left("", 0),
    ]);
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
    let mut text = table.heading() + "\n";
    for evaluation in evaluations {
        text += &table.row([
            evaluation.scenario.clone(),
            number(evaluation.ratio),
            number(evaluation.efficiency),
            number(evaluation.worst_efficiency),
            number(Some(evaluation.floor)),
            evaluation.golden.as_str().to_owned(),
            (if evaluation.intact { "" } else { "NOT INTACT" }).to_owned(),
        ]);
        text.push('\n');
    }
    text
}
