//! A stall that was found by chance: it lasts no longer than it did.

use std::sync::Arc;

use crate::record::Detail;
use crate::rows::Summary;
use crate::run::{Clock, GivenTape, Plan, Steps, Tap};
use crate::scenario;

/// A stall that was found by chance and shrunk: how long it lasts must not grow.
const ANSWER_LOST: &str = include_str!("../../../../scenarios/tapes/answer-lost-four-times.csv");

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
