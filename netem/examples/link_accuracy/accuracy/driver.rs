//! Sends packets through a link and looks at what becomes of each.

use std::net::SocketAddr;

use lftp_netem::{
    Direction, Time, link::Link, packet::Packet, profile::NetworkProfile, record::PacketRecord,
};

/// So many records are kept until they are looked at.
const BATCH: u64 = 4096;

/// Bytes that each packet carries.
pub(crate) const PAYLOAD_BYTES: usize = 16;

/// A link, forward.
pub(crate) fn link(network: &str, seed: u64) -> Link {
    let profile = NetworkProfile::from_toml_str(network);
    let profile = profile.unwrap_or_else(|error| panic!("{network}\n{error}"));
    Link::new(&profile.forward(), seed, Direction::Forward)
}

/// A packet of no use.
pub(crate) fn packet(payload_bytes: usize) -> Packet {
    let address = SocketAddr::from(([10, 0, 0, 1], 9));
    Packet::new(address, address, 2, vec![0; payload_bytes])
}

/// Sends a packet every so many nanoseconds, and shows each that comes out, and the record of
/// each in the order of their fates.
pub(crate) fn run(
    network: &str,
    seed: u64,
    packets: u64,
    every_ns: u64,
    mut out: impl FnMut(&Packet),
    mut fate: impl FnMut(&PacketRecord),
) {
    let mut link = link(network, seed);
    link.set_recording(true);
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
            records.drain(..).for_each(|record| fate(&record));
        }
    }
    drain(&mut link, Time::MAX);
    link.take_records(&mut records);
    records.iter().for_each(&mut fate);
}
