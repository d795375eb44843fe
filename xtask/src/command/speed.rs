//! `cargo xtask speed`: how fast the virtual world turns, full LFTP included.

mod growth;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::CommandError;
use crate::batch::median;
use crate::exit::Exit;
use crate::record::Detail;
use crate::run::{Clock, Plan, Steps, Tap};
use crate::scenario::{self, Scenario};

/// Measure how fast scenarios run in virtual time, on one core.
///
/// Seconds are those of the processor: what else the machine does does not count.
#[derive(Debug, clap::Args)]
pub(super) struct Speed {
    /// Scenarios.
    #[arg(value_name = "NAME", default_value = "lossy-10pct")]
    scenarios: Vec<String>,
    /// Runs of each, with the seeds 1, 2, 3, ...
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// Change any key of the scenarios: transfer.size=256MiB.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    changes: Vec<String>,
    /// Instead, measure how it grows from 1 to 1,000 flows and with the bandwidth-delay product of
    /// the first scenario, and write a table and a chart of it.
    #[arg(long)]
    growth: bool,
    /// Where those go. Default: reports/speed in the repository.
    #[arg(long, value_name = "DIR", requires = "growth")]
    out: Option<PathBuf>,
}

/// One run.
struct Lap {
    events: u64,
    simulated: Duration,
    took: Duration,
}

impl Speed {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        if self.growth {
            let folder = || scenario::workspace().join("reports").join("speed");
            let out = self.out.clone().unwrap_or_else(folder);
            let name = self.scenarios.first().map_or("lossy-10pct", String::as_str);
            growth::measure(&self, name, &out)?;
            return Ok(Exit::Ok);
        }
        let scenarios = self
            .scenarios
            .iter()
            .map(|name| Ok((name, scenario::load(name, &self.changes)?)))
            .collect::<Result<Vec<_>, CommandError>>()?;
        println!(
            "{:<16}  {:>13}  {:>15}  {:>18}",
            "scenario", "packet events", "events a second", "virtual : real"
        );
        for (name, scenario) in scenarios {
            let laps: Vec<Lap> = (1..=self.runs)
                .map(|seed| Lap::run(&scenario, seed))
                .collect::<Result<_, _>>()?;
            let rates: Vec<f64> = laps.iter().map(Lap::events_per_second).collect();
            let ratios: Vec<f64> = laps.iter().map(Lap::ratio).collect();
            let events: Vec<u64> = laps.iter().map(|lap| lap.events).collect();
            println!(
                "{name:<16}  {:>13}  {:>15.0}  {:>16.1} x",
                median(&events).unwrap_or_default(),
                median(&rates).unwrap_or_default(),
                median(&ratios).unwrap_or_default(),
            );
        }
        Ok(Exit::Ok)
    }
}

impl Lap {
    fn run(scenario: &Scenario, seed: u64) -> Result<Self, CommandError> {
        let plan = Plan {
            scenario: scenario.clone(),
            seed,
            clock: Clock::Virtual,
            detail: Detail::Summary,
            file: None,
            tap: Tap::default(),
        };
        // Its bytes are drawn once and kept, for whichever run is the first to need them.
        drop(plan.content());
        let begun = processor_time();
        let counted = plan.run_counted(&Arc::new(Steps::default()));
        let (record, stats) = counted.map_err(|source| CommandError::Run {
            command: plan.command(),
            source,
        })?;
        Ok(Self {
            events: stats.packet_events(),
            simulated: Duration::from_nanos(record.summary.duration_ns),
            took: processor_time() - begun,
        })
    }

    fn events_per_second(&self) -> f64 {
        self.events as f64 / self.took.as_secs_f64()
    }

    fn ratio(&self) -> f64 {
        self.simulated.as_secs_f64() / self.took.as_secs_f64()
    }
}

/// What this thread has had of a processor.
#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Elsewhere, what the clock on the wall says.
#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn processor_time() -> Duration {
    static BEGIN: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    BEGIN.elapsed()
}
