//! The committed baseline: `golden.csv` and `goodput.csv`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::CommandError;
use crate::output;
use crate::rows::Summary;

/// Every integer of a run, and its hash: the same on every machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GoldenRow {
    scenario: String,
    pub(super) seed: u64,
    intact: bool,
    bytes: u64,
    duration_ns: u64,
    goodput_bps: u64,
    packets_sent: u64,
    packets_retransmitted: u64,
    packets_lost_on_link: u64,
    queue_drops: u64,
    spurious_retransmissions: u64,
    wire_bytes: u64,
    rtt_min_ns: Option<u64>,
    rtt_p50_ns: Option<u64>,
    rtt_p95_ns: Option<u64>,
    queue_delay_p95_ns: Option<u64>,
    trace_sha256: String,
}

impl GoldenRow {
    pub(super) fn of(summary: &Summary) -> Self {
        Self {
            scenario: summary.scenario.clone(),
            seed: summary.seed,
            intact: summary.intact,
            bytes: summary.bytes,
            duration_ns: summary.duration_ns,
            goodput_bps: summary.goodput_bps,
            packets_sent: summary.packets_sent,
            packets_retransmitted: summary.packets_retransmitted,
            packets_lost_on_link: summary.packets_lost_on_link,
            queue_drops: summary.queue_drops,
            spurious_retransmissions: summary.spurious_retransmissions,
            wire_bytes: summary.wire_bytes,
            rtt_min_ns: summary.rtt_min_ns,
            rtt_p50_ns: summary.rtt_p50_ns,
            rtt_p95_ns: summary.rtt_p95_ns,
            queue_delay_p95_ns: summary.queue_delay_p95_ns,
            trace_sha256: summary.trace_sha256.clone(),
        }
    }
}

/// The goodput of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct GoodputRow {
    scenario: String,
    seed: u64,
    goodput_bps: u64,
}

/// The measurements that were last blessed.
#[derive(Clone, Debug, Default)]
pub(super) struct Baseline {
    golden: BTreeMap<(String, u64), GoldenRow>,
    goodput: BTreeMap<(String, u64), u64>,
}

impl Baseline {
    /// Reads the baseline of a folder; an empty one if it has none.
    pub(super) fn read(folder: &Path) -> Result<Self, CommandError> {
        let golden: Vec<GoldenRow> = read(&folder.join("golden.csv"))?;
        let goodput: Vec<GoodputRow> = read(&folder.join("goodput.csv"))?;
        // Sorted by scenario and seed, so that the diff of a blessing shows what has changed and
        // nothing else.
        let by_golden = |row: GoldenRow| ((row.scenario.clone(), row.seed), row);
        let by_goodput = |row: GoodputRow| ((row.scenario, row.seed), row.goodput_bps);
        Ok(Self {
            golden: golden.into_iter().map(by_golden).collect(),
            goodput: goodput.into_iter().map(by_goodput).collect(),
        })
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), CommandError> {
        std::fs::create_dir_all(folder).map_err(|error| CommandError::file(folder, error))?;
        let golden: Vec<&GoldenRow> = self.golden.values().collect();
        output::write_csv(&folder.join("golden.csv"), &golden)?;
        let goodput = self
            .goodput
            .iter()
            .map(|((scenario, seed), &goodput_bps)| GoodputRow {
                scenario: scenario.clone(),
                seed: *seed,
                goodput_bps,
            });
        output::write_csv(&folder.join("goodput.csv"), &goodput.collect::<Vec<_>>())
    }

    /// Replaces a scenario's numbers.
    pub(super) fn replace(
        &mut self,
        scenario: &str,
        summaries: &[Summary],
        golden_seeds: RangeInclusive<u64>,
    ) {
        // Seeds that are no longer measured go as well.
        self.golden.retain(|(name, _), _| name != scenario);
        self.goodput.retain(|(name, _), _| name != scenario);
        for summary in summaries {
            let key = (scenario.to_owned(), summary.seed);
            self.goodput.insert(key.clone(), summary.goodput_bps);
            if golden_seeds.contains(&summary.seed) {
                self.golden.insert(key, GoldenRow::of(summary));
            }
        }
    }

    pub(super) fn golden(&self, scenario: &str) -> Vec<&GoldenRow> {
        self.golden
            .values()
            .filter(|row| row.scenario == scenario)
            .collect()
    }

    pub(super) fn goodput(&self, scenario: &str, seed: u64) -> Option<u64> {
        self.goodput.get(&(scenario.to_owned(), seed)).copied()
    }
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>, CommandError> {
    // The first blessing of a repository: everything is missing then, and each scenario says so.
    if !path.exists() {
        return Ok(Vec::new());
    }
    let fault = |error: csv::Error| CommandError::file(path, error);
    let mut csv = csv::Reader::from_path(path).map_err(fault)?;
    csv.deserialize().collect::<Result<_, _>>().map_err(fault)
}
