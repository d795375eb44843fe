//! The way through the wire: fixed delay, jitter, and packets out of their place.

use super::{
    InFlight,
    jitter::JitterStage,
    line::Line,
    reorder::{Place, Reordering},
    slots::SlotStage,
};
use crate::{
    Direction, Time,
    profile::{DirectionProfile, Phase},
};

/// A packet's way through the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    due: Time,
    /// Will those behind it overtake?
    aside: bool,
    /// How long it takes.
    pub(crate) delay_ns: u64,
}

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

    /// From now on delays are as `profile` says; what is on the wire stays there.
    pub(crate) fn set_profile(
        &mut self,
        profile: &DirectionProfile,
        seed: u64,
        direction: Direction,
    ) {
        *self = Self {
            line: std::mem::take(&mut self.line),
            last_due: self.last_due,
            ..Self::new(profile, seed, direction)
        };
    }

    pub(crate) const fn set_phase(&mut self, phase: &Phase) {
        self.delay_ns = phase.delay_ns;
    }

    /// The delay of packets to which nothing happens by chance.
    pub(crate) const fn fixed_ns(&self) -> u64 {
        self.delay_ns
    }

    /// From now on delays may be as short as this.
    pub(crate) fn allow(&mut self, ns: u64) {
        self.shortest_ns = self.shortest_ns.min(ns);
    }

    /// The way of a packet that comes to the wire. `taped` is what a tape says, if there is one:
    /// its delay, or the fixed one.
    pub(crate) fn way(&mut self, now: Time, packet: &InFlight, taped: Option<Option<u64>>) -> Way {
        let now = self.slots.departure(now, packet.link_bytes);
        let way = |due: Time, aside| Way {
            due,
            aside,
            delay_ns: due.nanos_since(now),
        };
        if let Some(taped) = taped {
            return way(now.plus_nanos(taped.unwrap_or(self.delay_ns)), false);
        }
        let delay_ns = self.jitter.delay_ns(self.delay_ns, packet);
        let place = self.reordering.place(packet);
        if place == Place::Ahead {
            return way(now, false);
        }
        let mut due = now.plus_nanos(delay_ns);
        if self.in_order {
            due = due.max(self.last_due);
            self.last_due = due;
        }
        match place {
            Place::Late(ns) => way(due.plus_nanos(ns), true),
            Place::Kept | Place::Ahead => way(due, false),
        }
    }

    /// The packet goes its way.
    pub(crate) fn enter(&mut self, way: Way, in_flight: Box<InFlight>) {
        self.line.add(way.due, way.aside, in_flight);
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
