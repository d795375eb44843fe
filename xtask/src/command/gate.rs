//! `cargo xtask gate`: refuses a regression.
//!
//! Everything runs in virtual time, so every number is exact. *Tier one*: the integers of a few
//! seeds must be those of the committed baseline, to the last digit; `--bless` rewrites it, and
//! a reviewer reads the difference. *Tier two*: over many seeds, paired with the
//! baseline's, the median ratio of goodput may not fall below 0.98, nor the median efficiency
//! below the scenario's floor.

mod baseline;
mod evaluate;

use std::collections::BTreeMap;

use self::baseline::Baseline;
use self::evaluate::Evaluation;
use crate::batch;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::record::Detail;
use crate::rows::Summary;
use crate::run::{Clock, Plan, Tap};
use crate::scenario::{self, Scenario};

/// Seeds of tier two.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=32;

/// The seeds of tier one, the first few of those.
const GOLDEN_SEEDS: std::ops::RangeInclusive<u64> = 1..=4;

/// Compare with the committed baseline, and refuse a regression.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Gate {
    /// Only these scenarios. Default: every one with a `[gate]` table.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Write the measurements as the new baseline.
    #[arg(long)]
    bless: bool,
    /// Change any key of the scenarios first, to see the gate refuse.
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "bless")]
    changes: Vec<String>,
}

impl Gate {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let scenarios = self.scenarios()?;
        let folder = scenario::workspace().join("reports/baseline");
        let mut baseline = Baseline::read(&folder)?;
        // All the scenarios' seeds in one batch: the processors stay busy to the last one.
        let summaries = measure(&scenarios)?;
        let evaluations: Vec<Evaluation> = scenarios
            .iter()
            .map(|scenario| {
                let none = Vec::new();
                let now = summaries.get(&scenario.name).unwrap_or(&none);
                evaluate::evaluate(scenario, now, &baseline)
            })
            .collect();
        lftp_console::note!("{}", evaluate::table(&evaluations));
        if self.bless {
            for (name, summaries) in &summaries {
                baseline.replace(name, summaries, GOLDEN_SEEDS);
            }
            baseline.write(&folder)?;
            lftp_console::noteln!("wrote the baseline in {}", folder.display());
            // A baseline below the floor is written all the same, since its diff shows it, but it
            // is no success.
            let broken = evaluations
                .iter()
                .any(|evaluation| !evaluation.holds_without_baseline());
            return Ok(if broken { Exit::Gate } else { Exit::Ok });
        }
        let faults: Vec<&String> = evaluations
            .iter()
            .flat_map(|evaluation| &evaluation.faults)
            .collect();
        for fault in &faults {
            lftp_console::noteln!("gate: {fault}");
        }
        if faults.is_empty() {
            lftp_console::noteln!("gate: no regression");
            return Ok(Exit::Ok);
        }
        lftp_console::noteln!("gate: if this is intended: cargo xtask gate --bless");
        Ok(Exit::Gate)
    }

    fn scenarios(&self) -> Result<Vec<Scenario>, CommandError> {
        let named = if self.names.is_empty() {
            scenario::all()?
                .into_iter()
                .filter(|s| s.gate.is_some())
                .map(|s| s.name)
                .collect()
        } else {
            self.names.clone()
        };
        let mut scenarios = Vec::new();
        for name in named {
            let scenario = scenario::load(&name, &self.changes)?;
            if scenario.gate.is_none() {
                return Err(CommandError::Usage(format!("{name} has no [gate] table")));
            }
            // With the gate's own, smaller file: each scenario runs with thirty-two seeds.
            scenarios.push(scenario.for_gate());
        }
        Ok(scenarios)
    }
}

/// Runs every seed of every scenario.
fn measure(scenarios: &[Scenario]) -> Result<BTreeMap<String, Vec<Summary>>, CommandError> {
    let plans: Vec<Plan> = scenarios
        .iter()
        .flat_map(|scenario| SEEDS.map(|seed| plan(scenario, seed)))
        .collect();
    let mut by_name: BTreeMap<String, Vec<Summary>> = BTreeMap::new();
    for summary in batch::run_all("gate", &plans)? {
        by_name
            .entry(summary.scenario.clone())
            .or_default()
            .push(summary);
    }
    Ok(by_name)
}

fn plan(scenario: &Scenario, seed: u64) -> Plan {
    Plan {
        scenario: scenario.clone(),
        seed,
        clock: Clock::Virtual,
        detail: Detail::Summary,
        file: None,
        tap: Tap::default(),
    }
}

#[cfg(test)]
mod tests;
