//! The log of the packets, from the link's records.

use lftp_netem::Direction;
use lftp_netem::record::{PacketOutcome, PacketRecord};
use sha2::{Digest, Sha256};

use super::Detail;
use crate::rows::PacketRow;

/// Every packet at the link.
#[derive(Debug)]
pub(crate) struct LinkLog {
    detail: Detail,
    /// Packets that entered the forward link.
    pub forward_packets: u64,
    /// Packets lost, both directions, queue drops included.
    pub lost: u64,
    /// Of those, the ones dropped by the queues.
    pub queue_drops: u64,
    /// UDP payload lost in the direction of the data.
    pub forward_lost_bytes: u64,
    /// Bytes on the link, both directions.
    pub wire_bytes: u64,
    /// Forward packets' time in the link, ns.
    pub forward_delay_ns: Vec<u64>,
    /// Every packet, where rows are kept.
    pub rows: Vec<PacketRow>,
    /// A hash for each direction: records come in batches, and the hash must not depend on
    /// where one ends.
    forward_hash: Sha256,
    reverse_hash: Sha256,
}

impl LinkLog {
    /// An empty log.
    pub(crate) fn new(detail: Detail) -> Self {
        Self {
            detail,
            forward_packets: 0,
            lost: 0,
            queue_drops: 0,
            forward_lost_bytes: 0,
            wire_bytes: 0,
            forward_delay_ns: Vec::new(),
            rows: Vec::new(),
            forward_hash: Sha256::new(),
            reverse_hash: Sha256::new(),
        }
    }

    /// Adds records.
    pub(crate) fn extend(&mut self, records: &[PacketRecord]) {
        for record in records {
            self.push(record);
        }
    }

    fn push(&mut self, record: &PacketRecord) {
        let forward = record.direction == Direction::Forward;
        // A copy is the link's own doing: no host has sent it.
        if !record.duplicate {
            self.wire_bytes += record.link_bytes;
            self.forward_packets += u64::from(forward);
        }
        match record.outcome {
            PacketOutcome::Delivered if forward => self.forward_delay_ns.extend(record.delay_ns()),
            PacketOutcome::Delivered => {}
            fate => {
                self.lost += 1;
                self.queue_drops += u64::from(matches!(
                    fate,
                    PacketOutcome::QueueDrop | PacketOutcome::EarlyDrop
                ));
                if forward {
                    self.forward_lost_bytes += record.payload_bytes;
                }
            }
        }
        // Everything that can happen to a packet is in the hash, also what no number of the summary
        // shows.
        let flags = u64::from(record.duplicate)
            | u64::from(record.corrupted) << 1
            | u64::from(record.ce_marked) << 2;
        let hash = if forward {
            &mut self.forward_hash
        } else {
            &mut self.reverse_hash
        };
        // Numbers of fixed width, not text: the hash is part of the baseline and must not depend on
        // formatting.
        for number in [
            record.arrived_at.as_nanos(),
            record.departed_at.as_nanos(),
            record.index,
            record.payload_bytes,
            record.outcome as u64,
            flags,
        ] {
            hash.update(number.to_le_bytes());
        }
        if self.detail == Detail::Full {
            self.rows.push(row(record));
        }
    }

    /// The hash of every record.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let both = self.forward_hash.clone().finalize();
        let both = Sha256::new_with_prefix(both).chain_update(self.reverse_hash.clone().finalize());
        both.finalize().into()
    }
}

fn row(record: &PacketRecord) -> PacketRow {
    let delivered = record.outcome == PacketOutcome::Delivered;
    PacketRow {
        t_ns: record.arrived_at.as_nanos(),
        direction: if record.direction == Direction::Forward {
            "forward"
        } else {
            "reverse"
        },
        index: record.index,
        link_bytes: u32::try_from(record.link_bytes).unwrap_or(u32::MAX),
        payload_bytes: u32::try_from(record.payload_bytes).unwrap_or(u32::MAX),
        fate: match record.outcome {
            // A copy that is damaged as well counts as a copy: one word has to do.
            PacketOutcome::Delivered if record.duplicate => "duplicate",
            PacketOutcome::Delivered if record.corrupted => "corrupted",
            fate => fate.name(),
        },
        delivered_ns: delivered.then(|| record.departed_at.as_nanos()),
        one_way_delay_ns: record.delay_ns(),
        queue_bytes: Some(record.queue_bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use lftp_netem::world::{World, WorldConfig};

    use super::*;
    use crate::scenario;

    /// The records of packets that crossed a lossy network in both directions.
    fn records() -> Vec<PacketRecord> {
        let network = scenario::load("lossy-10pct", &[])
            .expect("a scenario")
            .network;
        let mut config = WorldConfig::new(&network, 5);
        config.recording = true;
        let mut world = World::with_config(&config);
        let [here, there] = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)));
        let client = world.add_client(here).expect("an address");
        let server = world.add_server(there).expect("an address");
        let ends = [(client, there), (server, here)].map(|(host, to)| {
            let socket = host.bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 7));
            (socket.expect("a port"), SocketAddr::new(to, 7))
        });
        for _ in 0..200 {
            for (socket, to) in &ends {
                socket.try_send(*to, 0, b"something", None).expect("room");
            }
            let later = world.now().plus_nanos(1_000_000);
            world.run_until(later).expect("no deadlock");
        }
        let mut records = Vec::new();
        for direction in [Direction::Forward, Direction::Reverse] {
            world.links().take_records(direction, &mut records);
        }
        records
    }

    #[test]
    fn the_hash_is_of_the_packets_and_not_of_the_batches_they_came_in() {
        let records = records();
        let digest = |records: &[PacketRecord]| {
            let mut log = LinkLog::new(Detail::Summary);
            log.extend(records);
            log.digest()
        };
        let whole = digest(&records);
        let mut as_they_left = records.clone();
        as_they_left.sort_by_key(|record| record.departed_at);
        assert_ne!(as_they_left, records);
        assert_eq!(digest(&as_they_left), whole);

        let mut other = records;
        other.pop();
        assert_ne!(digest(&other), whole);
    }
}
