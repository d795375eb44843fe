//! The controllers in a simulated network.

mod sim;

use std::time::Duration;

use super::Congestion;
use sim::{Path, Simulation};

const fn secs(s: u64) -> Duration { Duration::from_secs(s) }

#[test]
#[ignore = "table"]
fn table() {
    let len: u64 = std::env::var("LEN").ok().and_then(|s| s.parse().ok()).unwrap_or(25);
    for algorithm in [Congestion::Bbr, Congestion::Cubic, Congestion::NewReno, Congestion::Classic] {
        for loss in [0.0, 0.01, 0.1, 0.2] {
            let sim = Simulation::bulk(Path::new(100, 40, loss), algorithm, secs(len));
            let eff = sim.arrived_at(0, 64 << 20).map(|t| (64u64 << 20) as f64 / sim_achievable(loss) / (t + 0.06));
            println!("{algorithm:8} {loss:.2} share {:.3} queue {:.2} first64M {:.3?} drops {} lost {} phases {}",
                sim.share(secs(2), secs(len)), sim.queue(0, secs(2), secs(len)), eff, sim.queue_drops, sim.flows[0].lost_packets, sim.flows[0].phases.len());
            if algorithm == Congestion::Bbr && std::env::var("PH").is_ok() { for (t, p) in &sim.flows[0].phases { println!("   {t:?} {p}"); }
             for (i, s) in sim.flows[0].slots.iter().enumerate().take(24) { println!("  {:4} ms {:.3} q {:.2}", i*50, s.delivered as f64/(sim_achievable(loss)*0.05), s.queued.as_secs_f64()/s.arrivals.max(1) as f64/0.04); } }
        }
    }
}
fn sim_achievable(loss: f64) -> f64 { Path::new(100, 40, loss).achievable() }
