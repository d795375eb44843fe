//! The link's books: every packet that enters is accounted for.

use std::net::SocketAddr;

use serde::Serialize;

use crate::{
    Direction, Time,
    packet::Packet,
    record::{Fate, PacketRecord},
    stage::InFlight,
};

/// Packets of cross traffic have indices that no other packet has, nor its copy.
const CROSS_OFFSET: u64 = 1 << 61;

/// What happened on a link so far.
///
/// `packets_in + duplicated` is at all times `delivered + lost() + inside()`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counters {
    /// Packets that entered.
    pub packets_in: u64,
    /// Their bytes on the link, headers included.
    pub bytes_in: u64,
    /// Packets that came out, copies included.
    pub delivered: u64,
    /// Their bytes on the link.
    pub bytes_delivered: u64,
    /// Lost on the wire, independently.
    pub lost_wire: u64,
    /// Lost on the wire in a burst.
    pub lost_burst: u64,
    /// Dropped by a full queue.
    pub queue_drops: u64,
    /// Dropped by the queue's discipline before it was full.
    pub early_drops: u64,
    /// Dropped for being larger than the MTU.
    pub mtu_drops: u64,
    /// Lost in a blackout.
    pub blackout_drops: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Packets, copies included, in which a bit was flipped.
    pub corrupted: u64,
    /// Packets, copies included, that lost their end.
    pub truncated: u64,
    /// Packets that came out after one that had entered later (RFC 4737 §3.3).
    pub reordered: u64,
    /// Packets marked "congestion experienced".
    pub ce_marked: u64,
    /// Packets of cross traffic that went through the bottleneck. They are in no other count.
    pub cross_sent: u64,
    /// Packets of cross traffic that the queue dropped.
    pub cross_drops: u64,
    /// The most that ever waited in the queue.
    pub peak_queue_bytes: u64,
}

impl Counters {
    /// Packets that will never come out, whyever.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost_wire
            + self.lost_burst
            + self.queue_drops
            + self.early_drops
            + self.mtu_drops
            + self.blackout_drops
    }

    /// Packets that have met no fate yet, copies included.
    #[must_use]
    pub const fn inside(&self) -> u64 {
        self.packets_in + self.duplicated - self.delivered - self.lost()
    }
}

#[derive(Debug)]
pub(super) struct Ledger {
    direction: Direction,
    counters: Counters,
    /// The highest index delivered, plus one.
    highest: u64,
    recording: bool,
    /// Are the records to have the packets' contents?
    capturing: bool,
    records: Vec<PacketRecord>,
    #[expect(clippy::vec_box, reason = "it is the boxes that are kept")]
    spare: Vec<Box<InFlight>>,
}

impl Ledger {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            counters: Counters::default(),
            highest: 0,
            recording: false,
            capturing: false,
            records: Vec::new(),
            spare: Vec::new(),
        }
    }

    pub(super) const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) const fn set_recording(&mut self, on: bool) {
        self.recording = on;
    }

    pub(super) const fn set_capturing(&mut self, on: bool) {
        self.capturing = on;
    }

    pub(super) fn take_records(&mut self, into: &mut Vec<PacketRecord>) {
        into.append(&mut self.records);
    }

    /// A packet enters and gets its index.
    pub(super) fn enter(&mut self, now: Time, packet: Packet, queue_bytes: u64) -> Box<InFlight> {
        let index = self.counters.packets_in;
        let link_bytes = packet.link_bytes();
        self.counters.packets_in += 1;
        self.counters.bytes_in += link_bytes;
        let in_flight = InFlight {
            packet,
            entered: now,
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

    /// A packet of cross traffic comes.
    pub(super) fn enter_cross(&mut self, now: Time, link_bytes: u64) -> Box<InFlight> {
        // Hosts of documentation (RFC 5737): one flow, to a discipline that tells flows apart.
        let [source, destination] = [1, 2].map(|host| SocketAddr::from(([192, 0, 2, host], 9)));
        let index = CROSS_OFFSET + self.counters.cross_sent + self.counters.cross_drops;
        self.boxed(InFlight {
            packet: Packet::new(source, destination, 0, Vec::new()),
            entered: now,
            index,
            link_bytes,
            queue_bytes: 0,
            duplicate: false,
            cross: true,
            corrupted: false,
            ce_marked: false,
        })
    }

    /// A packet of cross traffic has gone through the bottleneck.
    pub(super) fn leave_cross(&mut self, in_flight: Box<InFlight>) {
        self.counters.cross_sent += 1;
        self.spare.push(in_flight);
    }

    fn boxed(&mut self, in_flight: InFlight) -> Box<InFlight> {
        match self.spare.pop() {
            Some(mut spare) => {
                *spare = in_flight;
                spare
            }
            None => Box::new(in_flight),
        }
    }

    /// A packet will not come out.
    pub(super) fn lose(&mut self, now: Time, in_flight: Box<InFlight>, fate: Fate) {
        if in_flight.cross {
            self.counters.cross_drops += 1;
            self.spare.push(in_flight);
            return;
        }
        let counters = &mut self.counters;
        *match fate {
            Fate::Delivered => unreachable!("a lost packet is not delivered"),
            Fate::LostWire => &mut counters.lost_wire,
            Fate::LostBurst => &mut counters.lost_burst,
            Fate::QueueDrop => &mut counters.queue_drops,
            Fate::EarlyDrop => &mut counters.early_drops,
            Fate::MtuDrop => &mut counters.mtu_drops,
            Fate::Blackout => &mut counters.blackout_drops,
        } += 1;
        self.met(now, in_flight, fate);
    }

    /// A packet comes out.
    pub(super) fn deliver(&mut self, due: Time, in_flight: Box<InFlight>) -> Packet {
        self.counters.delivered += 1;
        self.counters.bytes_delivered += in_flight.link_bytes;
        if in_flight.index + 1 < self.highest {
            self.counters.reordered += 1;
        } else {
            self.highest = in_flight.index + 1;
        }
        self.met(due, in_flight, Fate::Delivered)
    }

    pub(super) const fn note_duplicated(&mut self) {
        self.counters.duplicated += 1;
    }

    pub(super) const fn note_corrupted(&mut self) {
        self.counters.corrupted += 1;
    }

    pub(super) const fn note_truncated(&mut self) {
        self.counters.truncated += 1;
    }

    pub(super) fn note_queue(&mut self, bytes: u64) {
        self.counters.peak_queue_bytes = self.counters.peak_queue_bytes.max(bytes);
    }

    /// A packet has met its fate.
    fn met(&mut self, at: Time, mut in_flight: Box<InFlight>, fate: Fate) -> Packet {
        self.counters.ce_marked += u64::from(in_flight.ce_marked);
        if self.recording {
            self.record(at, &in_flight, fate);
        }
        let packet = in_flight.packet.take();
        self.spare.push(in_flight);
        packet
    }

    fn record(&mut self, at: Time, in_flight: &InFlight, fate: Fate) {
        self.records.push(PacketRecord {
            entered: in_flight.entered,
            left: at,
            direction: self.direction,
            index: in_flight.index,
            source: in_flight.packet.source,
            destination: in_flight.packet.destination,
            link_bytes: in_flight.link_bytes,
            payload_bytes: in_flight.packet.payload.len() as u64,
            fate,
            duplicate: in_flight.duplicate,
            corrupted: in_flight.corrupted,
            ce_marked: in_flight.ce_marked,
            queue_bytes: in_flight.queue_bytes,
            ecn: in_flight.packet.ecn,
            whole: in_flight.packet.whole,
            contents: match self.capturing {
                true => in_flight.packet.payload.as_slice().into(),
                false => Box::default(),
            },
        });
    }
}
