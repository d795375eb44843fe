//! `cargo xtask scenario`: the main job.

use std::path::PathBuf;
use std::sync::Arc;

use super::{CommandError, parse_seeds};
use crate::exit::Exit;
use crate::output;
use crate::progress;
use crate::record::Detail;
use crate::rows::Summary;
use crate::run::{Clock, GivenFile, Plan, Steps};
use crate::scenario;

/// Run a scenario: carry a file through its network, and leave traces and charts.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask scenario lossy-10pct
  cargo xtask scenario lossy-10pct --clock virtual --seed 7
  cargo xtask scenario lossy-10pct --set network.loss=20% --set transport.congestion=cubic
  cargo xtask scenario satellite --clock virtual --file holiday.mp4
  cargo xtask scenario my-network.toml --clock virtual --seeds 1..=8 --json")]
pub(super) struct RunScenario {
    /// A name from `cargo xtask list`, or a file that ends in .toml.
    #[arg(value_name = "NAME|FILE.toml")]
    scenario: String,
    /// Which time passes.
    #[arg(long, value_enum, default_value_t)]
    clock: Clock,
    /// The seed of everything random.
    #[arg(long, default_value_t = 1, conflicts_with = "seeds")]
    seed: u64,
    /// One run for each of these seeds.
    #[arg(long, value_name = "A..=B", value_parser = parse_seeds)]
    seeds: Option<std::ops::RangeInclusive<u64>>,
    /// Change any key of the scenario: network.loss=20%.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    changes: Vec<String>,
    /// Carry this file instead of a made-up one.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Where the results go. Default: reports/SCENARIO/CLOCK-SEED in the repository. With
    /// several seeds, a folder for each in here.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the object of summary.json on standard output, one line a run, and nothing else.
    #[arg(long)]
    json: bool,
}

impl RunScenario {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let scenario = scenario::load(&self.scenario, &self.changes)?;
        let file = self.file.as_deref().map(read).transpose()?;
        let seeds = self.seeds.clone().unwrap_or(self.seed..=self.seed);
        let several = seeds.start() != seeds.end();
        let mut worst = Exit::Ok;
        for seed in seeds {
            let plan = Plan {
                scenario: scenario.clone(),
                seed,
                clock: self.clock,
                detail: Detail::Full,
                file: file.clone(),
            };
            let folder = self.folder(&scenario.name, seed, several);
            let summary = self.run_one(&plan, &folder)?;
            if worst == Exit::Ok {
                worst = exit(&summary);
            }
        }
        Ok(worst)
    }

    fn folder(&self, name: &str, seed: u64, several: bool) -> PathBuf {
        match &self.out {
            Some(out) if several => out.join(format!("{}-{seed}", self.clock)),
            Some(out) => out.clone(),
            None => scenario::workspace()
                .join("reports")
                .join(name)
                .join(format!("{}-{seed}", self.clock)),
        }
    }

    fn run_one(&self, plan: &Plan, folder: &std::path::Path) -> Result<Summary, CommandError> {
        let steps = Arc::new(Steps::default());
        let label = format!(
            "{} ({}, seed {})",
            plan.scenario.name, plan.clock, plan.seed
        );
        let record = progress::watch(&label, &steps, || plan.run(&steps)).map_err(|source| {
            CommandError::Run {
                command: plan.command(),
                source,
            }
        })?;
        output::write_all(folder, &record)?;
        if self.json {
            println!("{}", output::json_line(&record.summary));
        }
        eprint!("{}", output::in_words(&record, folder));
        Ok(record.summary)
    }
}

const fn exit(summary: &Summary) -> Exit {
    match (summary.intact, summary.valid) {
        (false, _) => Exit::NotIntact,
        (true, false) => Exit::Invalid,
        (true, true) => Exit::Ok,
    }
}

fn read(path: &std::path::Path) -> Result<GivenFile, CommandError> {
    let contents = std::fs::read(path).map_err(|error| CommandError::file(path, error))?;
    Ok(GivenFile {
        path: path.display().to_string(),
        contents: contents.into(),
    })
}
