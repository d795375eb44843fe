//! Sends packets through a link and observes each.

use std::net::SocketAddr;

use lftp_netem::{
    Direction, Time, link::Link, packet::Packet, profile::NetworkProfile, record::PacketRecord,
};

/// Number of records that are kept until they are observed.
const BATCH: u64 = 4096;

/// Payload of each packet.
pub(crate) const PAYLOAD_BYTES: usize = 16;

/// A link, forward.
pub(crate) fn link(network: &str, seed: u64) -> Link {
    let profile = NetworkProfile::from_toml_str(network);
    let profile = profile.unwrap_or_else(|error| panic!("{network}\n{error}"));
    Link::new(&profile.forward(), seed, Direction::Forward)
}

/// Returns a packet of zeros.
pub(crate) fn packet(payload_bytes: usize) -> Packet {
    let address = SocketAddr::from(([10, 0, 0, 1], 9));
    Packet::new(address, address, 2, vec![0; payload_bytes])
}

/// Sends a packet every `every_ns`, and passes on each that comes out, and the record of each in the
/// order in which they were delivered or lost.
pub(crate) fn run(
    network: &str,
    seed: u64,
    packets: u64,
    every_ns: u64,
    mut out: impl FnMut(&Packet),
    mut observe: impl FnMut(&PacketRecord),
) {
    let mut link = link(network, seed);
    link.keep_records(true);
    let mut records = Vec::new();
    let mut drain = |link: &mut Link, until: Time| {
        while let Some(due) = link.next_wakeup().filter(|due| *due <= until) {
            while let Some(packet) = link.pop(due) {
                out(&packet);
            }
        }
    };
    for index in 0..packets {
        let now = Time::from_nanos(index * every_ns);
        drain(&mut link, now);
        link.push(now, packet(PAYLOAD_BYTES));
        if index % BATCH == 0 {
            link.take_records(&mut records);
            records.drain(..).for_each(|record| observe(&record));
        }
    }
    drain(&mut link, Time::MAX);
    link.take_records(&mut records);
    records.iter().for_each(&mut observe);
}
