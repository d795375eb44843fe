//! `cargo xtask speed`: the speed of the virtual world, full LFTP included.

mod growth;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::batch::median;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::record::Detail;
use crate::run::{Clock, Plan, RunProgress, Tap};
use crate::scenario::{self, Scenario};
use crate::table::{Column, Table};

const TABLE: Table<4> = Table::new([
    Column::left("scenario", 16),
    Column::right("packet events", 13),
    Column::right("events a second", 15),
    Column::right("virtual : real", 18),
]);

/// Measure how fast scenarios run in virtual time, on one core.
///
/// Seconds are processor time, so other load on the machine does not count.
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
    /// Instead, measure how the cost grows from 1 to 1,000 flows and with the bandwidth-delay product of
    /// the first scenario, and write a table and a chart of it.
    #[arg(long)]
    growth: bool,
    /// The folder for those. Default: reports/speed in the repository.
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
        lftp_console::outln!("{}", TABLE.heading())?;
        for (name, scenario) in scenarios {
            let laps: Vec<Lap> = (1..=self.runs)
                .map(|seed| Lap::run(&scenario, seed))
                .collect::<Result<_, _>>()?;
            let rates: Vec<f64> = laps.iter().map(Lap::events_per_second).collect();
            let ratios: Vec<f64> = laps.iter().map(Lap::ratio).collect();
            let events: Vec<u64> = laps.iter().map(|lap| lap.events).collect();
            let row = TABLE.row([
                name.clone(),
                median(&events).unwrap_or_default().to_string(),
                format!("{:.0}", median(&rates).unwrap_or_default()),
                format!("{:.1} x", median(&ratios).unwrap_or_default()),
            ]);
            lftp_console::outln!("{row}")?;
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
        // The file is generated once and kept: its cost must not fall on the first run.
        drop(plan.content());
        let started = processor_time();
        let counted = plan.run_counted(&Arc::new(RunProgress::default()));
        let (record, stats) = counted.map_err(|source| CommandError::Run {
            command: plan.command(),
            source,
        })?;
        Ok(Self {
            events: stats.packet_events(),
            simulated: Duration::from_nanos(record.summary.duration_ns),
            took: processor_time() - started,
        })
    }

    fn events_per_second(&self) -> f64 {
        self.events as f64 / self.took.as_secs_f64()
    }

    fn ratio(&self) -> f64 {
        self.simulated.as_secs_f64() / self.took.as_secs_f64()
    }
}

/// Processor time that this thread has used so far.
#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Wall-clock time on other systems.
#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn processor_time() -> Duration {
    static BEGIN: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    BEGIN.elapsed()
}
