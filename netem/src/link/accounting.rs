//! The link's accounting: every packet that arrives is counted until it is delivered or lost.

use std::net::SocketAddr;

use super::{counters::Counters, random::Impaired};
use crate::{
    Direction, Time,
    in_flight::InFlight,
    packet::Packet,
    record::{PacketOutcome, PacketRecord},
};

/// Offset of the indices of cross traffic, beyond those of all other packets and their copies.
const CROSS_OFFSET: u64 = 1 << 61;

#[derive(Debug)]
pub(super) struct Accounting {
    direction: Direction,
    counters: Counters,
    /// The highest index delivered, plus one.
    highest: u64,
    /// Set if there is to be a record of each packet.
    keeps_records: bool,
    /// Set if the records are to have the packets' payloads.
    keeps_payloads: bool,
    records: Vec<PacketRecord>,
    /// Boxes of packets that are gone, for those to come.
    #[expect(clippy::vec_box, reason = "it is the boxes that are kept")]
    spare: Vec<Box<InFlight>>,
}

impl Accounting {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            counters: Counters::default(),
            highest: 0,
            keeps_records: false,
            keeps_payloads: false,
            records: Vec::new(),
            spare: Vec::new(),
        }
    }

    pub(super) const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) const fn keep_records(&mut self, on: bool) {
        self.keeps_records = on;
    }

    pub(super) const fn keep_payloads(&mut self, on: bool) {
        self.keeps_payloads = on;
    }

    pub(super) fn take_records(&mut self, into: &mut Vec<PacketRecord>) {
        into.append(&mut self.records);
    }

    /// Admits a packet that arrives, with the next index.
    pub(super) fn admit(&mut self, now: Time, packet: Packet, queue_bytes: u64) -> Box<InFlight> {
        let index = self.counters.packets_in;
        let link_bytes = packet.link_bytes();
        self.counters.packets_in += 1;
        self.counters.bytes_in += link_bytes;
        let in_flight = InFlight {
            packet,
            arrived_at: now,
            index,
            link_bytes,
            queue_bytes,
            duplicate: false,
            cross: false,
            corrupted: false,
            ce_marked: false,
        };
        self.boxed(in_flight)
    }

    /// Admits a packet of cross traffic.
    pub(super) fn admit_cross(&mut self, now: Time, link_bytes: u64) -> Box<InFlight> {
        // Hosts of documentation (RFC 5737): one flow, to a discipline that tells flows apart.
        let [source, destination] = [1, 2].map(|host| SocketAddr::from(([192, 0, 2, host], 9)));
        // Unique, though nothing is recorded of it: disciplines and random streams go by the index.
        let index = CROSS_OFFSET + self.counters.cross_sent + self.counters.cross_drops;
        self.boxed(InFlight {
            packet: Packet::new(source, destination, 0, Vec::new()),
            arrived_at: now,
            index,
            link_bytes,
            queue_bytes: 0,
            duplicate: false,
            cross: true,
            corrupted: false,
            ce_marked: false,
        })
    }

    /// Counts a packet of cross traffic that has gone through the bottleneck.
    pub(super) fn finish_cross(&mut self, in_flight: Box<InFlight>) {
        self.counters.cross_sent += 1;
        self.spare.push(in_flight);
    }

    fn boxed(&mut self, in_flight: InFlight) -> Box<InFlight> {
        // A packet a microsecond: the allocator would be a good part of what it costs.
        match self.spare.pop() {
            Some(mut spare) => {
                *spare = in_flight;
                spare
            }
            None => Box::new(in_flight),
        }
    }

    /// Counts a packet that will not come out.
    pub(super) fn lose(&mut self, now: Time, in_flight: Box<InFlight>, outcome: PacketOutcome) {
        // Not among the losses: no sender on this link's ends could account for it.
        if in_flight.cross {
            self.counters.cross_drops += 1;
            self.spare.push(in_flight);
            return;
        }
        let counters = &mut self.counters;
        *match outcome {
            PacketOutcome::Delivered => unreachable!("a lost packet is not delivered"),
            PacketOutcome::LostWire => &mut counters.lost_wire,
            PacketOutcome::LostBurst => &mut counters.lost_burst,
            PacketOutcome::QueueDrop => &mut counters.queue_drops,
            PacketOutcome::EarlyDrop => &mut counters.early_drops,
            PacketOutcome::MtuDrop => &mut counters.mtu_drops,
            PacketOutcome::Blackout => &mut counters.blackout_drops,
        } += 1;
        self.finish(now, in_flight, outcome);
    }

    /// Counts a packet that comes out.
    pub(super) fn deliver(&mut self, due: Time, in_flight: Box<InFlight>) -> Packet {
        self.counters.delivered += 1;
        self.counters.bytes_delivered += in_flight.link_bytes;
        // RFC 4737 §3.3: reordered is the packet that is late, not those that overtook it.
        if in_flight.index + 1 < self.highest {
            self.counters.reordered += 1;
        } else {
            self.highest = in_flight.index + 1;
        }
        self.finish(due, in_flight, PacketOutcome::Delivered)
    }

    pub(super) const fn note_duplicated(&mut self) {
        self.counters.duplicated += 1;
    }

    pub(super) fn note_impaired(&mut self, impaired: &Impaired) {
        self.counters.corrupted += u64::from(impaired.corrupted);
        self.counters.truncated += u64::from(impaired.truncated);
        for name in &impaired.changed {
            *self.counters.changed.entry(name).or_insert(0) += 1;
        }
    }

    pub(super) fn note_queue(&mut self, bytes: u64) {
        self.counters.peak_queue_bytes = self.counters.peak_queue_bytes.max(bytes);
    }

    /// Records a packet that is gone, and keeps its box.
    fn finish(&mut self, at: Time, mut in_flight: Box<InFlight>, outcome: PacketOutcome) -> Packet {
        self.counters.ce_marked += u64::from(in_flight.ce_marked);
        if self.keeps_records {
            self.record(at, &in_flight, outcome);
        }
        // The payload is the caller's; only the box is kept.
        let packet = in_flight.packet.take();
        self.spare.push(in_flight);
        packet
    }

    fn record(&mut self, at: Time, in_flight: &InFlight, outcome: PacketOutcome) {
        self.records.push(PacketRecord {
            arrived_at: in_flight.arrived_at,
            departed_at: at,
            direction: self.direction,
            index: in_flight.index,
            source: in_flight.packet.source,
            destination: in_flight.packet.destination,
            link_bytes: in_flight.link_bytes,
            payload_bytes: in_flight.packet.payload.len() as u64,
            outcome,
            duplicate: in_flight.duplicate,
            corrupted: in_flight.corrupted,
            ce_marked: in_flight.ce_marked,
            queue_bytes: in_flight.queue_bytes,
            ecn: in_flight.packet.ecn,
            whole: in_flight.packet.whole,
            contents: match self.keeps_payloads {
                true => in_flight.packet.payload.as_slice().into(),
                false => Box::default(),
            },
        });
    }
}
