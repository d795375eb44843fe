use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Clock, GivenTape, Plan, Steps, Tap};
use crate::record::Detail;
use crate::rows::Summary;
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

/// A stall that was found by chance and shrunk: how long it lasts must not grow.
const ANSWER_LOST: &str = include_str!("../../../scenarios/tapes/answer-lost-four-times.csv");

/// 256 KiB over 20 Mbit/s and 40 ms, with nothing lost but what is on the tape and in the queue.
fn with_tape(tape: Option<&str>) -> Summary {
    let changes = [
        "network.rate=20mbit",
        "network.delay=20ms",
        "transfer.size=256KiB",
    ];
    let changes = changes.map(str::to_owned);
    let plan = Plan {
        scenario: scenario::load("clean-100m", &changes).expect("a sound network"),
        seed: 1,
        clock: Clock::Virtual,
        detail: Detail::Summary,
        file: None,
        tap: Tap {
            tape: tape.map(|text| GivenTape {
                path: "the tape".to_owned(),
                tape: Arc::new(text.parse().expect("a tape")),
            }),
            ..Tap::default()
        },
    };
    plan.run(&Arc::new(Steps::default()))
        .expect("a run")
        .summary
}

#[test]
fn eight_losses_around_the_answer_delay_a_transfer_by_four_seconds_and_no_more() {
    let (free, stalled) = (with_tape(None), with_tape(Some(ANSWER_LOST)));
    assert!(free.intact && stalled.intact, "{:?}", stalled.failure);
    let lost = |summary: &Summary| summary.packets_lost_on_link - summary.queue_drops;
    assert_eq!((lost(&free), lost(&stalled)), (0, 8));
    let delay_ns = stalled.duration_ns - free.duration_ns;
    assert!(delay_ns < 4_000_000_000, "{delay_ns} ns");
}
