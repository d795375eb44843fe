//! A queue of packets, first in first out, that knows its bytes.

use std::collections::VecDeque;

use crate::{Time, in_flight::InFlight};

#[derive(Debug, Default)]
pub(crate) struct Fifo {
    waiting: VecDeque<Box<InFlight>>,
    bytes: u64,
}

impl Fifo {
    pub(crate) fn packets(&self) -> u64 {
        self.waiting.len() as u64
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn front(&mut self) -> Option<&mut Box<InFlight>> {
        self.waiting.front_mut()
    }

    /// Returns the arrival of the packet in front.
    pub(crate) fn waiting_since(&self) -> Option<Time> {
        self.waiting.front().map(|front| front.arrived_at)
    }

    pub(crate) fn push(&mut self, in_flight: Box<InFlight>) {
        self.bytes += in_flight.link_bytes;
        self.waiting.push_back(in_flight);
    }

    /// Takes out everything, in order.
    pub(crate) fn drain(&mut self) -> VecDeque<Box<InFlight>> {
        std::iter::from_fn(|| self.pop()).collect()
    }

    pub(crate) fn pop(&mut self) -> Option<Box<InFlight>> {
        self.remove(0)
    }

    /// Takes out the packet at this position.
    pub(crate) fn remove(&mut self, place: usize) -> Option<Box<InFlight>> {
        let in_flight = self.waiting.remove(place)?;
        self.bytes -= in_flight.link_bytes;
        Some(in_flight)
    }
}
