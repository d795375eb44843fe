//! The queue before the bottleneck: first in, first out; its discipline says who is dropped.
//!
//! Optionally packets that find much waiting are marked (RFC 3168; the step of DCTCP,
//! RFC 8257 §3.1). A packet counts until its last bit is sent, so the one being sent is queued
//! as well, but it is no longer dropped. One that finds the queue empty is taken whatever the
//! limit: no buffer is needed to send at once.
//!
//! Those that drop on arrival do so in [`Queue::offer`], those that drop on departure in
//! [`Queue::serve`], which is asked whenever a packet is to be sent.

mod codel;
mod fifo;
mod pie;
mod red;

use std::collections::VecDeque;

use self::{codel::CoDel, fifo::Fifo, pie::Pie, red::Red};
use super::InFlight;
use crate::{
    Time,
    link::Direction,
    profile::{DirectionProfile, Discipline, QueueLimit},
    record::Fate,
    rng::{Draws, high},
};

#[derive(Debug)]
pub(crate) struct Queue {
    fifo: Fifo,
    /// Is the packet in front being sent?
    serving: bool,
    limit: QueueLimit,
    threshold: QueueLimit,
    manager: Manager,
    draws: Draws,
    early: VecDeque<Box<InFlight>>,
    full: VecDeque<Box<InFlight>>,
}

#[derive(Debug)]
enum Manager {
    DropTail,
    DropHead,
    Red(Red),
    CoDel(CoDel),
    Pie(Pie),
}

impl Manager {
    fn new(profile: &DirectionProfile) -> Self {
        match profile.discipline {
            Discipline::DropTail => Self::DropTail,
            Discipline::DropHead => Self::DropHead,
            Discipline::Red(red) => Self::Red(Red::new(red)),
            Discipline::CoDel(codel) => Self::CoDel(CoDel::new(codel, profile.mtu_bytes)),
            Discipline::Pie(pie) => Self::Pie(Pie::new(pie)),
        }
    }
}

impl Queue {
    pub(crate) fn new(profile: &DirectionProfile, seed: u64, direction: Direction) -> Self {
        Self {
            fifo: Fifo::default(),
            serving: false,
            limit: profile.queue,
            threshold: profile.ecn_threshold,
            manager: Manager::new(profile),
            draws: Draws::new(seed, direction, "queue"),
            early: VecDeque::new(),
            full: VecDeque::new(),
        }
    }

    /// From now on limits and discipline are as `profile` says; what waits stays.
    pub(crate) fn set_profile(&mut self, profile: &DirectionProfile) {
        self.limit = profile.queue;
        self.threshold = profile.ecn_threshold;
        self.manager = Manager::new(profile);
    }

    /// The size of the packet in front.
    pub(crate) fn front_bytes(&mut self) -> Option<u64> {
        self.fifo.front().map(|in_flight| in_flight.link_bytes)
    }

    /// Takes the packet, marked if need be, or does not; says which.
    pub(crate) fn offer(&mut self, now: Time, mut in_flight: Box<InFlight>) -> bool {
        let drops = self.drops_early(now, &in_flight);
        if matches!(self.manager, Manager::DropHead) {
            while self.is_full(&in_flight) && self.fifo.packets() > u64::from(self.serving) {
                self.full
                    .extend(self.fifo.remove(usize::from(self.serving)));
            }
        }
        if self.is_full(&in_flight) {
            self.full.push_back(in_flight);
            return false;
        }
        if drops && !(self.marks() && in_flight.mark()) {
            self.early.push_back(in_flight);
            return false;
        }
        let (bytes, packets) = (self.fifo.bytes(), self.fifo.packets());
        if bytes >= self.threshold.bytes || packets >= self.threshold.packets {
            in_flight.mark();
        }
        self.fifo.push(in_flight);
        true
    }

    fn is_full(&self, in_flight: &InFlight) -> bool {
        let packets = self.fifo.packets();
        let bytes = self.fifo.bytes() + in_flight.link_bytes;
        packets > 0 && (bytes > self.limit.bytes || packets >= self.limit.packets)
    }

    fn drops_early(&mut self, now: Time, in_flight: &InFlight) -> bool {
        let bytes = self.fifo.bytes();
        let mut bits = || high(self.draws.at(in_flight.index, in_flight.duplicate));
        match &mut self.manager {
            Manager::DropTail | Manager::DropHead | Manager::CoDel(_) => false,
            Manager::Red(red) => red.drops(now, bytes, bits()),
            Manager::Pie(pie) => {
                pie.update(now, bytes == 0);
                pie.drops(bytes, bits())
            }
        }
    }

    fn marks(&self) -> bool {
        match &self.manager {
            Manager::DropTail | Manager::DropHead | Manager::CoDel(_) => false,
            Manager::Red(red) => red.marks(),
            Manager::Pie(pie) => pie.marks(),
        }
    }

    /// A packet is to be sent: its size.
    pub(crate) fn serve(&mut self, now: Time) -> Option<u64> {
        debug_assert!(!self.serving, "one packet at a time");
        if let Manager::CoDel(codel) = &mut self.manager {
            codel.serve(now, &mut self.fifo, &mut self.early);
        }
        let empty = self.fifo.packets() == 0;
        let front = self.fifo.front();
        match &mut self.manager {
            Manager::Red(red) if empty => red.emptied(now),
            Manager::Pie(pie) => {
                pie.update(now, empty);
                if let Some(front) = &front {
                    pie.departed(now.nanos_since(front.entered));
                }
            }
            _ => {}
        }
        let bytes = front.map(|in_flight| in_flight.link_bytes);
        self.serving = bytes.is_some();
        bytes
    }

    /// The packet that has been sent.
    pub(crate) fn take(&mut self) -> Option<Box<InFlight>> {
        self.serving = false;
        self.fifo.pop()
    }

    /// A packet dropped since, and why.
    pub(crate) fn dropped(&mut self) -> Option<(Box<InFlight>, Fate)> {
        if let Some(in_flight) = self.full.pop_front() {
            return Some((in_flight, Fate::QueueDrop));
        }
        let in_flight = self.early.pop_front()?;
        Some((in_flight, Fate::EarlyDrop))
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.fifo.bytes()
    }
}
