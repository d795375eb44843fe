//! `cargo xtask faults`: all faults at once, and the file arrives.

use std::ops::RangeInclusive;

use super::parse_seeds;
use crate::batch;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::faults::{self, Counts};
use crate::table::{Column, Table};

/// Failures that are printed; more say nothing new.
const SHOWN: usize = 10;

/// Transfer files while machines crash and lose power, disks fail, an attacker is on the
/// path and the network is at its worst, in virtual time. Each seed is a world of its own.
#[derive(Debug, clap::Args)]
pub(super) struct Faults {
    /// One seed, or a range: 1..=10000.
    #[arg(long, value_name = "A..=B", default_value = "1..=200", value_parser = parse_seeds)]
    seeds: RangeInclusive<u64>,
    /// Print the counts of the seeds together as a JSON object.
    #[arg(long)]
    json: bool,
}

/// The arguments of an empty command line, which `ci` uses.
impl Default for Faults {
    fn default() -> Self {
        Self {
            seeds: 1..=200,
            json: false,
        }
    }
}

impl Faults {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let seeds: Vec<u64> = self.seeds.collect();
        let outcomes = batch::run_each("faults", &seeds, |&seed| {
            faults::run(seed).map_err(|source| CommandError::Faults { seed, source })
        })?;
        let mut counts = Counts::new();
        for (what, many) in outcomes.iter().flat_map(|outcome| &outcome.counts) {
            *counts.entry(what.clone()).or_default() += many;
        }
        if self.json {
            let counts = serde_json::to_string(&counts);
            lftp_console::outln!("{}", counts.expect("strings and numbers are JSON"))?;
        } else {
            let table = Table::new([Column::right("count", 12), Column::left("event", 0)]);
            for (event, count) in &counts {
                lftp_console::outln!("{}", table.row([&count.to_string(), event]))?;
            }
        }
        let failed: Vec<(u64, &String)> = seeds
            .iter()
            .zip(&outcomes)
            .filter_map(|(&seed, outcome)| Some((seed, outcome.failure.as_ref()?)))
            .collect();
        for (seed, failure) in failed.iter().take(SHOWN) {
            lftp_console::noteln!(
                "seed {seed}: {failure}; repeat with: cargo xtask faults --seeds {seed}"
            );
        }
        lftp_console::noteln!(
            "{} of {} files arrived intact",
            seeds.len() - failed.len(),
            seeds.len()
        );
        Ok(if failed.is_empty() {
            Exit::Ok
        } else {
            Exit::NotIntact
        })
    }
}
