//! The behaviour of a link seen from outside, a file for each impairment.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

mod accounting;
mod change;
mod corrupt;
mod cross_traffic;
mod disciplines;
mod duplicate;
mod jitter;
mod loss;
mod multi_queue;
mod order;
mod queue;
mod rate;
mod recording;
mod reorder;
mod schedule;
mod slots;
mod statistics;
mod truncate;

use std::net::SocketAddr;

use lftp_netem::{
    Direction, Time, link::Link, packet::Packet, profile::NetworkProfile, record::PacketRecord,
};

/// A forward link, seed 1, with records.
fn link(network: &str) -> Link {
    seeded(network, 1)
}

fn seeded(network: &str, seed: u64) -> Link {
    let profile = NetworkProfile::from_toml_str(network).unwrap_or_else(|error| panic!("{error}"));
    let mut link = Link::new(&profile.forward(), seed, Direction::Forward);
    link.keep_records(true);
    link
}

/// Returns a packet that contains its number.
fn packet(number: u64, link_bytes: u64) -> Packet {
    let mut payload = vec![0; link_bytes as usize - 28];
    let digits = payload.len().min(8);
    payload[..digits].copy_from_slice(&number.to_le_bytes()[..digits]);
    let address = |host| SocketAddr::from(([10, 0, 0, host], 9));
    Packet::new(address(1), address(2), 0, payload)
}

fn number(packet: &Packet) -> u64 {
    u64::from_le_bytes(packet.payload[..8].try_into().unwrap())
}

const fn at(ns: u64) -> Time {
    Time::from_nanos(ns)
}

/// Drives the link up to `until`: appends what came out, and when.
fn drain(link: &mut Link, until: Time, out: &mut Vec<(Time, Packet)>) {
    while let Some(due) = link.next_wakeup().filter(|due| *due <= until) {
        while let Some(packet) = link.pop(due) {
            out.push((due, packet));
        }
        let next = link.next_wakeup();
        assert!(
            next.is_none_or(|next| next > due),
            "asked again for {due:?}"
        );
    }
}

/// Sends the packets at their times, in order, and waits until the link is empty.
fn run(link: &mut Link, packets: impl IntoIterator<Item = (Time, Packet)>) -> Vec<(Time, Packet)> {
    let mut out = Vec::new();
    for (now, packet) in packets {
        drain(link, now, &mut out);
        link.push(now, packet);
    }
    drain(link, Time::MAX, &mut out);
    assert_eq!(link.inside_packets(), 0);
    out
}

/// Returns `count` packets of 1000 bytes, one every `every_ns`.
fn steady(count: u64, every_ns: u64) -> impl Iterator<Item = (Time, Packet)> {
    (0..count).map(move |index| (at(index * every_ns), packet(index, 1000)))
}

fn records(link: &mut Link) -> Vec<PacketRecord> {
    let mut records = Vec::new();
    link.take_records(&mut records);
    records
}

/// Returns the times in nanoseconds at which packets come out that are sent at these times with
/// these sizes.
fn times(network: &str, packets: &[(u64, u64)]) -> Vec<u64> {
    let packets = (0..)
        .zip(packets)
        .map(|(number, (ns, bytes))| (at(*ns), packet(number, *bytes)));
    run(&mut link(network), packets)
        .iter()
        .map(|(time, _)| time.as_nanos())
        .collect()
}
