//! `cargo xtask sweep` and `merge`: a grid of scenarios, on one machine or several. The file is
//! described in `docs/SCENARIOS.md`.
//!
//! ```toml
//! scenario = "lossy-10pct"
//! seeds = "1..=4"
//! [grid]                       # every combination is run
//! "network.loss" = ["0%", "1%", "10%"]
//! "network.delay" = ["5ms", "50ms"]
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::parse_seeds;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::record::Detail;
use crate::rows::Summary;
use crate::run::{Clock, Plan, Tap};
use crate::{batch, scenario};

/// Run a grid of scenarios.
#[derive(Debug, clap::Args)]
pub(super) struct Sweep {
    /// The grid.
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
    /// Run only shard K of N: 2/4.
    #[arg(long, value_name = "K/N", value_parser = parse_shard, default_value = "1/1")]
    shard: Shard,
    /// The folder for the table. Default: reports/sweep-NAME/K-of-N in the repository.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Join the results of a sweep's shards.
#[derive(Debug, clap::Args)]
pub(super) struct Merge {
    /// The shards' folders.
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// The folder for the joined table.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Shard {
    part: usize,
    of: usize,
}

fn parse_shard(text: &str) -> Result<Shard, String> {
    let fault = || format!("{text:?} is not a shard; write for example 2/4");
    let (part, of) = text.split_once('/').ok_or_else(fault)?;
    let shard = Shard {
        part: part.parse().map_err(|_| fault())?,
        of: of.parse().map_err(|_| fault())?,
    };
    if shard.part == 0 || shard.part > shard.of {
        Err(fault())
    } else {
        Ok(shard)
    }
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grid {
    scenario: String,
    #[serde(default = "first_seed")]
    seeds: String,
    #[serde(default)]
    set: Vec<String>,
    grid: BTreeMap<String, Vec<String>>,
}

fn first_seed() -> String {
    "1".to_owned()
}

impl Grid {
    fn read(path: &Path) -> Result<Self, CommandError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| CommandError::file(path, error))?;
        toml::from_str(&text)
            .map_err(|error| CommandError::Usage(format!("{}: {error}", path.display())))
    }

    /// Every combination, the last key changing first.
    fn points(&self) -> Vec<Vec<String>> {
        let mut points = vec![self.set.clone()];
        for (key, values) in &self.grid {
            points = points
                .iter()
                .flat_map(|point| {
                    values.iter().map(move |value| {
                        let mut longer = point.clone();
                        longer.push(format!("{key}={value}"));
                        longer
                    })
                })
                .collect();
        }
        points
    }
}

impl Sweep {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let grid = Grid::read(&self.file)?;
        let seeds = parse_seeds(&grid.seeds).map_err(CommandError::Usage)?;
        let mut plans = Vec::new();
        for changes in grid.points() {
            let scenario = scenario::load(&grid.scenario, &changes)?;
            plans.extend(seeds.clone().map(|seed| Plan {
                scenario: scenario.clone(),
                seed,
                clock: Clock::Virtual,
                detail: Detail::Summary,
                file: None,
                tap: Tap::default(),
            }));
        }
        let Shard { part, of } = self.shard;
        let mine: Vec<Plan> = plans.into_iter().skip(part - 1).step_by(of).collect();
        let summaries = batch::run_all("sweep", &mine)?;
        let folder = self.out.clone().unwrap_or_else(|| {
            let name = self
                .file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let reports = scenario::workspace().join("reports");
            reports
                .join(format!("sweep-{name}"))
                .join(format!("{part}-of-{of}"))
        });
        let keys: Vec<String> = grid.grid.keys().cloned().collect();
        let rows = mine
            .iter()
            .zip(&summaries)
            .map(|(plan, summary)| row(&keys, plan, summary));
        write(&folder, &heading(&keys), rows)?;
        lftp_console::noteln!("{} runs, written to {}", mine.len(), folder.display());
        Ok(Exit::Ok)
    }
}

/// The columns of a run's numbers.
const NUMBERS: [&str; 9] = [
    "seed",
    "intact",
    "duration_ns",
    "goodput_bps",
    "achievable_bps",
    "efficiency_ratio",
    "steady_ratio",
    "rtt_p95_ns",
    "spurious_retransmissions",
];

fn heading(keys: &[String]) -> Vec<String> {
    let first = std::iter::once("scenario".to_owned());
    first
        .chain(keys.iter().cloned())
        .chain(NUMBERS.map(str::to_owned))
        .collect()
}

fn row(keys: &[String], plan: &Plan, summary: &Summary) -> Vec<String> {
    let values = keys.iter().map(|key| {
        let change = plan.scenario.changes.iter().find_map(|change| {
            change
                .strip_prefix(key.as_str())
                .and_then(|rest| rest.strip_prefix('='))
        });
        change.unwrap_or_default().to_owned()
    });
    let json = serde_json::to_value(summary).unwrap_or_default();
    let numbers = NUMBERS.iter().map(|name| match json.get(name) {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(value) => value.to_string(),
    });
    std::iter::once(summary.scenario.clone())
        .chain(values)
        .chain(numbers)
        .collect()
}

fn write(
    folder: &Path,
    heading: &[String],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<(), CommandError> {
    std::fs::create_dir_all(folder).map_err(|error| CommandError::file(folder, error))?;
    let path = folder.join("sweep.csv");
    let fault = |error: csv::Error| CommandError::file(&path, error);
    let mut csv = csv::Writer::from_path(&path).map_err(fault)?;
    csv.write_record(heading).map_err(fault)?;
    for row in rows {
        csv.write_record(&row).map_err(fault)?;
    }
    csv.flush()
        .map_err(|error| CommandError::file(&path, error))
}

impl Merge {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let mut heading: Option<Vec<String>> = None;
        let mut rows: Vec<Vec<String>> = Vec::new();
        for folder in &self.folders {
            let path = folder.join("sweep.csv");
            let fault = |error: csv::Error| CommandError::file(&path, error);
            let mut csv = csv::Reader::from_path(&path).map_err(fault)?;
            let own: Vec<String> = csv
                .headers()
                .map_err(fault)?
                .iter()
                .map(str::to_owned)
                .collect();
            if heading.get_or_insert_with(|| own.clone()) != &own {
                return Err(CommandError::Usage(format!(
                    "{}: its columns are not those of {}: not parts of one sweep",
                    path.display(),
                    self.folders[0].display()
                )));
            }
            for record in csv.records() {
                rows.push(record.map_err(fault)?.iter().map(str::to_owned).collect());
            }
        }
        rows.sort();
        rows.dedup();
        let count = rows.len();
        write(&self.out, &heading.unwrap_or_default(), rows.into_iter())?;
        lftp_console::noteln!("{count} runs, written to {}", self.out.display());
        Ok(Exit::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_every_combination_once() {
        let grid: Grid = toml::from_str(
            "scenario = \"x\"\n[grid]\na = [\"1\", \"2\"]\nb = [\"3\", \"4\", \"5\"]\n",
        )
        .unwrap();
        let points = grid.points();
        assert_eq!(points.len(), 6);
        assert_eq!(points[0], ["a=1", "b=3"]);
        assert_eq!(points[5], ["a=2", "b=5"]);
    }

    #[test]
    fn documented_keys_are_those_of_the_parser() {
        use crate::scenario::document;

        let required = "scenario = \"x\"\n[grid]\n";
        document::assert_has_keys_of::<Grid>("Sweep files", required);
        for row in document::rows("Sweep files") {
            let line = |value: &str| format!("{} = {value}\n", row.key);
            let others = [("scenario", "\"x\""), ("grid", "{}")];
            let others = others.iter().filter(|(key, _)| *key != row.key);
            let others: String = others
                .map(|(key, value)| format!("{key} = {value}\n"))
                .collect();
            let read = |text: &str| toml::from_str::<Grid>(text).unwrap();
            read(&(line(row.example) + &others));
            if let Some(default) = row.default {
                let (with, without) = (read(&(line(default) + &others)), read(&others));
                assert_eq!((with.seeds, with.set), (without.seeds, without.set));
            }
        }
    }

    #[test]
    fn a_shard_is_a_part_of_a_whole() {
        assert_eq!(parse_shard("2/4"), Ok(Shard { part: 2, of: 4 }));
        for bad in ["0/4", "5/4", "a/b", "1", "1/0"] {
            assert!(parse_shard(bad).is_err(), "{bad}");
        }
    }
}
