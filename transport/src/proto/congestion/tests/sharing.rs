//! How flows share a bottleneck: with CUBIC, with each other.
//!
//! One duel may go either way by the chance of who probes when: each is fought on three paths,
//! and the median counts.

use std::time::Duration;

use super::secs;
use super::sim::{Path, Simulation};
use crate::proto::congestion::Congestion;

/// Long enough for some ten of CUBIC's cycles.
const LENGTH: Duration = Duration::from_secs(60);

/// Start of what is measured: by then the flows have found their shares.
const FROM: Duration = Duration::from_secs(20);

/// 20 Mbit/s and so many milliseconds, with so many quarters of what fits as its queue.
fn path(round_trip_ms: u64, queue_quarters: u64) -> Path {
    let path = Path::new(20, round_trip_ms, 0.0);
    Path {
        queue_bytes: path.queue_bytes * queue_quarters / 4,
        ..path
    }
}

/// The share that CUBIC keeps beside another, and of the link that both use.
fn duel(rival: Congestion, queue_quarters: u64) -> (f64, f64) {
    let mut duels = [34, 40, 46].map(|round_trip_ms| {
        let mut run = Simulation::new(path(round_trip_ms, queue_quarters));
        run.add(rival, Duration::ZERO, None);
        run.add(Congestion::Cubic, Duration::ZERO, None);
        run.run(LENGTH);
        let [rival, cubic] = [0, 1].map(|flow| run.delivered(flow, FROM, LENGTH) as f64);
        (cubic / (rival + cubic), run.share(FROM, LENGTH))
    });
    duels.sort_by(|one, other| one.0.total_cmp(&other.0));
    eprintln!("cubic beside {rival}, {queue_quarters}/4: {duels:.3?}");
    duels[1]
}

/// Jain's fairness index of what the flows got.
fn jain(run: &Simulation, from: Duration, to: Duration) -> f64 {
    let got = (0..run.flows.len()).map(|flow| run.delivered(flow, from, to) as f64);
    let (sum, squares) = got.fold((0.0, 0.0), |(sum, squares), bytes| {
        (sum + bytes, squares + bytes * bytes)
    });
    sum * sum / (run.flows.len() as f64 * squares)
}

#[test]
fn cubic_keeps_its_share_beside_fathom_whatever_the_queue() {
    for queue_quarters in [1, 4, 16] {
        let (share, used) = duel(Congestion::Fathom, queue_quarters);
        assert!(
            (0.35..=0.65).contains(&share),
            "a queue of {queue_quarters}/4: {share}"
        );
        assert!(used > 0.85, "a queue of {queue_quarters}/4: {used}");
    }
}

#[test]
fn cubic_beside_cubic_is_the_control() {
    for queue_quarters in [1, 4, 16] {
        let (share, _) = duel(Congestion::Cubic, queue_quarters);
        assert!(
            (0.35..=0.65).contains(&share),
            "a queue of {queue_quarters}/4: {share}"
        );
    }
}

#[test]
fn four_fathom_flows_started_one_after_the_other_are_fair() {
    let mut run = Simulation::new(path(40, 4));
    for flow in 0..4 {
        run.add(Congestion::Fathom, secs(5 * flow), None);
    }
    run.run(secs(75));
    let jain = jain(&run, secs(45), secs(75));
    assert!(jain >= 0.95, "{jain}");
    let used = run.share(secs(45), secs(75));
    assert!(used > 0.9, "{used}");
}

#[test]
fn a_flow_that_is_alone_again_takes_the_whole_link() {
    let path = path(40, 4);
    let achievable = path.achievable();
    let mut run = Simulation::new(path);
    run.add(Congestion::Fathom, Duration::ZERO, None);
    run.add(Congestion::Cubic, Duration::ZERO, None);
    run.run(secs(20));
    // It has no more to send.
    run.flows[1].application = Some(0);
    run.run(secs(45));
    let share = run.delivered(0, secs(30), secs(45)) as f64 / (15.0 * achievable);
    assert!(share > 0.9, "{share}");
    // And gives back the queue that it kept up beside the other.
    let queue = run.queue(0, secs(30), secs(45));
    assert!(queue < 0.5, "{queue} round trips of queue");
}
