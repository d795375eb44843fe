//! The way through the wire: fixed delay, jitter, and packets out of their place.

use super::{
    InFlight,
    jitter::JitterStage,
    line::Line,
    reorder::{Place, Reordering},
    slots::SlotStage,
};
use crate::{
    Time,
    link::Direction,
    profile::{DirectionProfile, Phase},
};

#[derive(Debug)]
pub(crate) struct Delay {
    delay_ns: u64,
    slots: SlotStage,
    jitter: JitterStage,
    reordering: Reordering,
    in_order: bool,
    /// The latest moment at which a packet in order is due.
    last_due: Time,
    /// No packet takes less, in any phase.
    shortest_ns: u64,
    line: Line,
}

impl Delay {
    pub(crate) fn new(profile: &DirectionProfile, seed: u64, direction: Direction) -> Self {
        let jitter = JitterStage::new(profile.jitter.clone(), seed, direction);
        let delays_ns = profile.phases().iter().map(|phase| phase.delay_ns);
        let shortest_ns = match profile.reorder {
            Some(reorder) if reorder.delay.is_none() => 0,
            _ => jitter.shortest_ns(delays_ns.min().unwrap_or(0)),
        };
        Self {
            delay_ns: profile.delay_ns(),
            slots: SlotStage::new(profile.slots, seed, direction),
            jitter,
            reordering: Reordering::new(profile.reorder, seed, direction),
            in_order: profile.in_order,
            last_due: Time::ZERO,
            shortest_ns,
            line: Line::default(),
        }
    }

    pub(crate) const fn set_phase(&mut self, phase: &Phase) {
        self.delay_ns = phase.delay_ns;
    }

    /// A packet comes to the wire.
    pub(crate) fn enter(&mut self, now: Time, in_flight: Box<InFlight>) {
        let now = self.slots.departure(now, in_flight.link_bytes);
        let delay_ns = self.jitter.delay_ns(self.delay_ns, &in_flight);
        let place = self.reordering.place(&in_flight);
        if place == Place::Ahead {
            self.line.add(now, false, in_flight);
            return;
        }
        let mut due = now.plus_nanos(delay_ns);
        if self.in_order {
            due = due.max(self.last_due);
            self.last_due = due;
        }
        match place {
            Place::Late(ns) => self.line.add(due.plus_nanos(ns), true, in_flight),
            Place::Kept | Place::Ahead => self.line.add(due, false, in_flight),
        }
    }

    /// What is due by now, the earliest first, and when it was.
    pub(crate) fn take(&mut self, now: Time) -> Option<(Time, Box<InFlight>)> {
        self.line.take(now)
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.line.next_due()
    }

    /// The earliest moment at which a packet that comes to the wire at `at` can be due.
    pub(crate) const fn earliest(&self, at: Time) -> Time {
        at.plus_nanos(self.shortest_ns)
    }
}
