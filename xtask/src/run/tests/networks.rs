//! The same transfer over a thousand networks, each bad in its own way.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::record::Detail;
use crate::run::{Clock, Plan, Steps, Tap};
use crate::scenario;

/// Networks of the property below; `LFTP_SEEDS` asks for more.
const SEEDS: u64 = 1_000;

/// A network as bad as `seed` makes it, as `--set` would ask for it.
fn changes(seed: u64) -> Vec<String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut percent = |most: u32| rng.random_range(0..=most * 10);
    let tenths = |n: u32| format!("{}.{}%", n / 10, n % 10);
    let mut changes = vec![
        format!("network.loss={}", tenths(percent(40))),
        format!("network.duplicate={}", tenths(percent(20))),
        format!("network.corrupt={}", tenths(percent(10))),
    ];
    let late = format!(
        r#"network.reorder={{ probability = "{}", delay = "{}ms" }}"#,
        tenths(percent(30)),
        rng.random_range(1..100)
    );
    changes.push(late);
    changes.push(format!("network.rate={}mbit", rng.random_range(5..200)));
    changes.push(format!("network.delay={}ms", rng.random_range(0..150)));
    changes.push(format!("network.jitter={}ms", rng.random_range(0..20)));
    changes.push(format!("transfer.size={}B", rng.random_range(1..400_000)));
    let way = if rng.random() { "put" } else { "get" };
    changes.push(format!("transfer.way={way}"));
    let begin = rng.random_range(100..3_000);
    let end = begin + rng.random_range(1..8_000);
    changes.push(format!(
        r#"network.schedule=[{{ at = "{begin}ms", blackout_until = "{end}ms" }}]"#
    ));
    changes
}

#[test]
fn the_file_arrives_whole_over_a_thousand_bad_networks() {
    let asked = |name| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse().expect("a number"))
    };
    let seeds = match asked("LFTP_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("LFTP_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let scenario = scenario::load("clean-100m", &changes(seed)).expect("a sound network");
        let plan = Plan {
            scenario,
            seed,
            clock: Clock::Virtual,
            detail: Detail::Summary,
            file: None,
            tap: Tap::default(),
        };
        let record = plan.run(&Arc::new(Steps::default())).expect("a run");
        let summary = record.summary;
        assert!(
            summary.intact,
            "{:?}; again: {}",
            summary.failure,
            plan.command()
        );
    }
}
