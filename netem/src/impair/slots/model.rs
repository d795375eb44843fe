//! Slots: the wire takes packets in batches, as Wi-Fi and DOCSIS do.

use super::settings::Slots;
use crate::{
    Time,
    rng::{RngStream, RngStreams, high},
};

#[derive(Debug)]
pub(crate) struct SlotClock {
    slots: Option<Slots>,
    stream: RngStream,
    /// The present slot: its number, its time, and what it still has room for.
    number: u64,
    at: Time,
    left_packets: u64,
    left_bytes: u64,
}

impl SlotClock {
    pub(crate) fn new(slots: Option<Slots>, streams: RngStreams) -> Self {
        Self {
            slots,
            stream: streams.by_packet("slots"),
            number: 0,
            at: Time::ZERO,
            left_packets: 0,
            left_bytes: 0,
        }
    }

    /// Returns the time of the slot that takes a packet which comes to the wire now. Packets keep
    /// their order.
    pub(crate) fn departure(&mut self, now: Time, link_bytes: u64) -> Time {
        let Some(slots) = self.slots else {
            return now;
        };
        // One by one rather than by division: each interval is random.
        while self.at < now {
            self.open(&slots);
        }
        // A packet that no slot has room for takes a whole one.
        let whole =
            self.left_packets == slots.packets_max() && self.left_bytes == slots.bytes_max();
        // The rest of the slot is given up: a smaller packet behind must not overtake this one.
        if !whole && (self.left_packets == 0 || self.left_bytes < link_bytes) {
            self.open(&slots);
        }
        self.left_packets -= 1;
        self.left_bytes = self.left_bytes.saturating_sub(link_bytes);
        self.at
    }

    fn open(&mut self, slots: &Slots) {
        let sample = high(self.stream.at(self.number, false));
        let width = u128::from(slots.max.0 - slots.min.0) + 1;
        let offset_ns = ((u128::from(sample) * width) >> 32) as u64;
        self.number += 1;
        self.at = self.at.plus_nanos(slots.min.0 + offset_ns);
        self.left_packets = slots.packets_max();
        self.left_bytes = slots.bytes_max();
    }
}
