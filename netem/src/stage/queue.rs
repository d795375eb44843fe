//! The queue before the bottleneck: first in, first out, and what finds it full is dropped.
//!
//! Optionally packets that find much waiting are marked instead (RFC 3168; the step of DCTCP,
//! RFC 8257 §3.1). A packet counts until its last bit is sent, so the one being sent is queued
//! as well. One that finds the queue empty is taken whatever the limit: no buffer is needed to
//! send at once.
//!
//! A smarter discipline belongs here: those that drop on arrival in [`Queue::offer`], those that
//! drop on departure in [`Queue::head_bytes`], which is asked whenever a packet is to be sent.

use std::collections::VecDeque;

use super::InFlight;
use crate::profile::QueueLimit;

#[derive(Debug)]
pub(crate) struct Queue {
    waiting: VecDeque<Box<InFlight>>,
    bytes: u64,
    limit: QueueLimit,
    threshold: QueueLimit,
}

impl Queue {
    pub(crate) const fn new(limit: QueueLimit, threshold: QueueLimit) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            limit,
            threshold,
        }
    }

    /// Takes the packet, marked if need be, or gives it back when there is no room.
    pub(crate) fn offer(&mut self, mut in_flight: Box<InFlight>) -> Option<Box<InFlight>> {
        let packets = self.waiting.len() as u64;
        let bytes = self.bytes + in_flight.link_bytes;
        let full = bytes > self.limit.bytes || packets >= self.limit.packets;
        if full && packets > 0 {
            return Some(in_flight);
        }
        let much = self.bytes >= self.threshold.bytes || packets >= self.threshold.packets;
        if much && in_flight.packet.is_ect() {
            in_flight.packet.mark_ce();
            in_flight.ce_marked = true;
        }
        self.bytes = bytes;
        self.waiting.push_back(in_flight);
        None
    }

    /// The size of the packet to be sent next.
    pub(crate) fn head_bytes(&self) -> Option<u64> {
        self.waiting.front().map(|in_flight| in_flight.link_bytes)
    }

    /// The packet that has been sent.
    pub(crate) fn take(&mut self) -> Option<Box<InFlight>> {
        let in_flight = self.waiting.pop_front()?;
        self.bytes -= in_flight.link_bytes;
        Some(in_flight)
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }
}
