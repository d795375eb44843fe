//! Measures the speed of the link model on this machine.
//!
//! `cargo run --release -p lftp-netem --example link_speed -- [PACKETS]` prints the nanoseconds
//! one packet takes, pushed and popped, through several kinds of link. The driver calls the link
//! as the virtual world does: at each of its wake-ups.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::{error::Error, net::SocketAddr, time::Instant};

use lftp_netem::{Direction, Time, link::Link, packet::Packet, profile::NetworkProfile};

const NETWORKS: [(&str, &str); 10] = [
    ("nothing", ""),
    ("delay", "delay = '20ms'"),
    ("delay, rate", "delay = '20ms'\nrate = '1gbit'"),
    (
        "delay, rate, 10% loss",
        "delay = '20ms'\nrate = '1gbit'\nloss = '10%'",
    ),
    (
        "same, loss before queue",
        "delay = '20ms'\nrate = '1gbit'\nloss = '10%'\n\
        loss_position = 'before-queue'",
    ),
    (
        "delay, rate, bursts",
        "delay = '20ms'\nrate = '1gbit'\n\
        loss = { model = 'gilbert-elliott', mean = '3%', burst = '10p' }",
    ),
    (
        "delay, rate, 5% late",
        "delay = '20ms'\nrate = '1gbit'\n\
        reorder = { probability = '5%', delay = '1ms' }",
    ),
    (
        "uniform jitter, reordering",
        "delay = '20ms'\njitter = '5ms'",
    ),
    (
        "normal jitter, in order",
        "delay = '20ms'\njitter = '5ms'\n\
        jitter_distribution = 'normal'\njitter_reorder = false",
    ),
    (
        "everything",
        "delay = '20ms'\nrate = '1gbit'\nloss = '2%'\nduplicate = '1%'\n\
        corrupt = '1%'\njitter = '1ms'\nreorder = { probability = '5%', delay = '1ms' }",
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let packets = std::env::args()
        .nth(1)
        .map_or(Ok(2_000_000), |text| text.parse())?;
    for (name, text) in NETWORKS {
        let profile = NetworkProfile::from_toml_str(text)?.forward();
        let mut link = Link::new(&profile, 1, Direction::Forward);
        let start = Instant::now();
        let wakeups = run(&mut link, packets);
        let ns = start.elapsed().as_nanos() as f64 / packets as f64;
        let counters = link.counters();
        println!(
            "{name:28} {ns:6.1} ns a packet  ({} delivered, {} lost, {wakeups} wake-ups)",
            counters.delivered,
            counters.lost()
        );
    }
    Ok(())
}

/// Sends a packet of 1228 bytes every 10 µs, close to 1 Gbit/s, and reuses the payloads that
/// come out. Returns the number of wake-ups.
fn run(link: &mut Link, packets: u64) -> u64 {
    let source = SocketAddr::from(([10, 0, 0, 1], 1));
    let destination = SocketAddr::from(([10, 0, 0, 2], 2));
    let mut pool: Vec<Vec<u8>> = Vec::new();
    let mut wakeups = 0;
    for index in 0..packets {
        let now = Time::from_nanos(index * 10_000);
        while let Some(due) = link.next_wakeup().filter(|due| *due <= now) {
            wakeups += 1;
            while let Some(packet) = link.pop(due) {
                pool.push(packet.payload);
            }
        }
        let payload = pool.pop().unwrap_or_else(|| vec![0; 1200]);
        link.push(now, Packet::new(source, destination, 0, payload));
    }
    wakeups
}
