//! Rates: the time that a number of packets takes to send, to the nanosecond.

use lftp_netem::Time;

use super::{
    Row,
    driver::{link, packet},
};

/// IPv4 and UDP.
const HEADER_BYTES: u64 = 28;
/// Tolerance of a second at 10 Gbit/s: 0.01 %.
const ERROR_MAX: f64 = 1e-4;

/// Returns the time at which the last of `packets` of a size comes out, if there is always one to
/// send.
fn time_ns(network: &str, packets: u64, link_bytes: u64) -> u64 {
    let mut link = link(network, 1);
    let payload_bytes = (link_bytes - HEADER_BYTES) as usize;
    let (mut pushed, mut last) = (0, 0);
    while pushed < packets && pushed < 2 {
        link.push(Time::ZERO, packet(payload_bytes));
        pushed += 1;
    }
    while let Some(due) = link.next_wakeup() {
        while link.pop(due).is_some() {
            last = due.as_nanos();
            if pushed < packets {
                link.push(due, packet(payload_bytes));
                pushed += 1;
            }
        }
    }
    last
}

pub(crate) fn rows(packets: u64, each: &mut impl FnMut(Row)) {
    let framed = "rate = '10gbit'\noverhead = '-14B'\ncell = '48B'\ncell_overhead = '5B'";
    // A trace counts 4 bytes more a packet, and 1504 a delivery opportunity.
    for (model, asked, bps, link_bytes, wire_bytes) in [
        ("rate", "rate = '10gbit'", 10e9, 1500, 1500),
        (
            "rate",
            "rate = '9999999967bit'",
            9_999_999_967.0,
            1371,
            1371,
        ),
        ("rate, cells", framed, 10e9, 1500, 31 * 53),
        (
            "token bucket",
            "rate = '10gbit'\nburst = '3000B'",
            10e9,
            1500,
            1500,
        ),
        ("mahimahi trace", "mahimahi = '1'", 12e6, 1500, 1500),
    ] {
        // A second's worth, or as much as there are packets for.
        let second = (bps / 8.0 / wire_bytes as f64) as u64;
        let count = second.min(packets);
        let ns = time_ns(&format!("{asked}\nqueue = '100p'"), count, link_bytes) as f64;
        // A bucket that is full has sent two packets at once.
        let sent = if model == "token bucket" {
            count - 2
        } else {
            count
        };
        let due_ns = sent as f64 * wire_bytes as f64 * 8e9 / bps;
        each(Row {
            model,
            asked: asked.to_owned(),
            quantity: "error over 1 s",
            analytic: 0.0,
            measured: (ns - due_ns) / due_ns,
            half_width: ERROR_MAX,
        });
    }
}
