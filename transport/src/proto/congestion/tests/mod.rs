//! The controllers in a simulated network.
//!
//! Each is tested for its shape, with room for tuning: exact numbers are the gate's business.

mod flow;
mod sharing;
mod sim;

use std::time::Duration;

use super::Congestion;
use sim::{MSS, Path, Simulation};

const fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn share(path: Path, algorithm: Congestion, length: u64) -> f64 {
    Simulation::bulk(path, algorithm, secs(length)).share(secs(2), secs(length))
}

#[test]
fn fathom_keeps_a_link_with_a_tenth_lost_busy() {
    for seed in 1..=3 {
        let path = Path {
            seed,
            ..Path::new(50, 40, 0.1)
        };
        let share = share(path, Congestion::Fathom, 12);
        assert!(share >= 0.85, "seed {seed}: {share}");
    }
}

#[test]
fn fathom_keeps_a_link_with_a_fifth_lost_busy() {
    let share = share(Path::new(50, 40, 0.2), Congestion::Fathom, 12);
    assert!(share >= 0.75, "{share}");
}

#[test]
fn every_paced_algorithm_fills_a_clean_link() {
    for algorithm in [Congestion::NewReno, Congestion::Cubic, Congestion::Fathom] {
        let share = share(Path::new(50, 40, 0.0), algorithm, 12);
        assert!(share >= 0.85, "{algorithm}: {share}");
    }
}

#[test]
fn bbr3_fills_a_clean_link_and_a_tenth_lost_is_too_much_for_it() {
    let clean = share(Path::new(50, 40, 0.0), Congestion::Bbr3, 12);
    assert!(clean > 0.9, "{clean}");
    let lossy = share(Path::new(50, 40, 0.1), Congestion::Bbr3, 12);
    assert!(lossy < 0.3, "{lossy}");
}

#[test]
fn bbr3_goes_through_all_its_states_and_gives_back_the_queue() {
    let run = Simulation::bulk(Path::new(50, 40, 0.0), Congestion::Bbr3, secs(20));
    let phases: Vec<_> = run.flows[0]
        .phases
        .iter()
        .map(|(_, phase)| *phase)
        .collect();
    // The queue that drain has left is below what ends `Down`.
    let first = [
        "startup",
        "drain",
        "probe-bw-cruise",
        "probe-bw-refill",
        "probe-bw-up",
    ];
    assert_eq!(phases[..5], first, "{phases:?}");
    for phase in ["probe-bw-down", "probe-rtt"] {
        assert!(phases.contains(&phase), "{phase} in {phases:?}");
    }
    let queue = run.queue(0, secs(3), secs(20));
    assert!(queue < 0.5, "{queue} round trips of queue");
}

#[test]
fn bbr3_cuts_its_bound_when_probing_loses_too_much() {
    // Every probe runs over a queue so short.
    let path = Path::new(50, 40, 0.0);
    let shallow = Path {
        queue_bytes: path.queue_bytes / 16,
        ..path
    };
    let run = Simulation::bulk(shallow, Congestion::Bbr3, secs(20));
    let lost = run.flows[0].lost_packets as f64 * 1200.0;
    let share = run.share(secs(3), secs(20));
    assert!(share > 0.6, "{share}");
    let lost = lost / run.flows[0].sent_bytes as f64;
    assert!(lost < 0.05, "{lost} of what was sent was lost");
}

#[test]
fn what_takes_loss_for_congestion_stands_still_on_a_lossy_link() {
    for algorithm in [Congestion::Classic, Congestion::NewReno, Congestion::Cubic] {
        let share = share(Path::new(50, 40, 0.1), algorithm, 12);
        assert!((0.001..0.3).contains(&share), "{algorithm}: {share}");
    }
}

#[test]
fn fathom_leaves_the_queue_of_a_clean_link_short() {
    let run = |algorithm| Simulation::bulk(Path::new(50, 40, 0.0), algorithm, secs(12));
    let fathom = run(Congestion::Fathom).queue(0, secs(2), secs(12));
    assert!(fathom < 0.5, "{fathom} round trips of queue");
    // The others can only tell by filling it.
    let newreno = run(Congestion::NewReno).queue(0, secs(2), secs(12));
    assert!(newreno > fathom, "{newreno} and {fathom}");
}

#[test]
fn fathom_follows_a_link_that_slows_down_and_speeds_up() {
    let path = Path {
        changes: vec![(secs(6), 10_000_000), (secs(12), 50_000_000)],
        ..Path::new(50, 40, 0.01)
    };
    let fifth = path.achievable() / 5.0;
    let run = Simulation::bulk(path, Congestion::Fathom, secs(22));
    let slow = run.delivered(0, secs(8), secs(12)) as f64 / 4.0 / fifth;
    let fast = run.delivered(0, secs(16), secs(22)) as f64 / 6.0 / (5.0 * fifth);
    assert!(slow > 0.8 && slow < 1.05, "{slow} of the slow link");
    assert!(fast > 0.7, "{fast} of the fast link");
}

/// No queue tells that the link is full, and what exceeds it is lost at once.
#[test]
fn fathom_does_not_flood_a_policer() {
    let path = Path {
        queue_bytes: 3 * MSS,
        burst: Duration::from_millis(50),
        ..Path::new(20, 40, 0.0)
    };
    let run = Simulation::bulk(path, Congestion::Fathom, secs(1));
    // A second's worth is some 1,700.
    assert!(run.queue_drops() < 1_300, "{}", run.queue_drops());
}

/// Wherever in its cycle that happens, it need not wait for the next probe.
#[test]
fn fathom_notices_at_once_that_a_link_has_become_faster() {
    for tenth in 0..10 {
        let at = secs(4) + Duration::from_millis(36 * tenth);
        let path = Path {
            changes: vec![(at, 100_000_000)],
            ..Path::new(10, 40, 0.0)
        };
        let achievable = 10.0 * path.achievable();
        let run = Simulation::bulk(path, Congestion::Fathom, secs(6));
        let from = at + Duration::from_millis(300);
        let to = from + Duration::from_millis(200);
        let share = run.delivered(0, from, to) as f64 / (0.2 * achievable);
        assert!(share > 0.7, "{at:?}: {share}");
    }
}

/// The visit lasts 200 ms, which are more round trips of this path than the bandwidth is
/// remembered for.
#[test]
fn fathom_comes_back_from_probe_rtt_with_the_bandwidth_it_knew() {
    let run = Simulation::bulk(Path::new(50, 6, 0.0), Congestion::Fathom, secs(45));
    let least = (50..440)
        .map(|tenth| {
            let from = Duration::from_millis(100 * tenth);
            run.share(from, from + Duration::from_millis(100))
        })
        .fold(1.0, f64::min);
    assert!(least < 0.95, "no visit to ProbeRTT");
    assert!(least > 0.75, "{least} of the link in a tenth of a second");
}

#[test]
fn fathom_takes_reordering_for_no_loss_of_bandwidth() {
    let path = Path {
        jitter: Duration::from_millis(10),
        ..Path::new(50, 40, 0.01)
    };
    let share = share(path, Congestion::Fathom, 12);
    assert!(share > 0.8, "{share}");
}

#[test]
fn an_application_that_sends_little_does_not_make_the_window_grow() {
    for algorithm in [Congestion::NewReno, Congestion::Cubic] {
        let mut run = Simulation::new(Path::new(50, 40, 0.0));
        // A tenth of the link: some 17 packets a round trip.
        run.add(algorithm, Duration::ZERO, Some(625_000));
        run.run(secs(20));
        let packets = run.flows[0].largest_window / MSS;
        assert!(packets < 80, "{algorithm}: {packets} packets");
    }
}

#[test]
fn an_application_that_sends_little_does_not_hide_the_bandwidth_from_fathom() {
    let mut run = Simulation::new(Path::new(50, 40, 0.0));
    run.add(Congestion::Fathom, Duration::ZERO, Some(625_000));
    run.run(secs(20));
    let sent = run.delivered(0, secs(2), secs(20)) as f64 / 18.0;
    assert!(sent > 0.97 * 625_000.0, "{sent} bytes a second");
    let queue = run.queue(0, secs(2), secs(20));
    assert!(queue < 0.1, "{queue}");
}

#[test]
fn two_flows_share_a_link() {
    for (algorithm, loss) in [
        (Congestion::Fathom, 0.0),
        (Congestion::Fathom, 0.1),
        (Congestion::NewReno, 0.0),
    ] {
        let mut run = Simulation::new(Path::new(50, 40, loss));
        run.add(algorithm, Duration::ZERO, None);
        run.add(algorithm, secs(3), None);
        run.run(secs(40));
        let delivered = [0, 1].map(|flow| run.delivered(flow, secs(15), secs(40)) as f64);
        let ratio = delivered[0].min(delivered[1]) / delivered[0].max(delivered[1]);
        assert!(ratio > 0.5, "{algorithm} at {loss}: {delivered:?}");
        let share = run.share(secs(15), secs(40));
        assert!(share > 0.8, "{algorithm} at {loss}: {share}");
    }
}

#[test]
fn the_seeds_algorithm_starts_with_one_packet_and_is_slow_to_recover() {
    let clean = Simulation::bulk(Path::new(10, 40, 0.0), Congestion::Classic, secs(10));
    assert!(clean.share(secs(2), secs(10)) > 0.5);
    // The first packet goes alone, and the second waits for its acknowledgement.
    let early = clean.delivered(0, Duration::ZERO, Duration::from_millis(50));
    assert!(early <= 2 * MSS, "{early}");
}
