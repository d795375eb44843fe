//! Slots: the wire takes packets in batches, as Wi-Fi and DOCSIS do.

use crate::{
    Direction, Time,
    profile::Slots,
    rng::{Draws, high},
};

#[derive(Debug)]
pub(crate) struct SlotStage {
    slots: Option<Slots>,
    draws: Draws,
    /// The present slot: how-manyeth, when, and what it has room for.
    number: u64,
    at: Time,
    left_packets: u64,
    left_bytes: u64,
}

impl SlotStage {
    pub(crate) fn new(slots: Option<Slots>, seed: u64, direction: Direction) -> Self {
        Self {
            slots,
            draws: Draws::new(seed, direction, "slots"),
            number: 0,
            at: Time::ZERO,
            left_packets: 0,
            left_bytes: 0,
        }
    }

    /// When a packet that comes to the wire now is on it. Packets keep their order.
    pub(crate) fn departure(&mut self, now: Time, link_bytes: u64) -> Time {
        let Some(slots) = self.slots else {
            return now;
        };
        while self.at < now {
            self.open(&slots);
        }
        // A packet that no slot has room for takes a whole one.
        let whole =
            self.left_packets == slots.packets_max() && self.left_bytes == slots.bytes_max();
        if !whole && (self.left_packets == 0 || self.left_bytes < link_bytes) {
            self.open(&slots);
        }
        self.left_packets -= 1;
        self.left_bytes = self.left_bytes.saturating_sub(link_bytes);
        self.at
    }

    fn open(&mut self, slots: &Slots) {
        let draw = high(self.draws.at(self.number, false));
        let width = u128::from(slots.max.0 - slots.min.0) + 1;
        let offset_ns = ((u128::from(draw) * width) >> 32) as u64;
        self.number += 1;
        self.at = self.at.plus_nanos(slots.min.0 + offset_ns);
        self.left_packets = slots.packets_max();
        self.left_bytes = slots.bytes_max();
    }
}
