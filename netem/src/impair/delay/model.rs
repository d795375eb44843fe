//! The transit of the wire: fixed delay, jitter and reordering.

use super::{delay_line::DelayLine, settings::DelaySettings};
use crate::{
    Time,
    impair::{
        jitter::JitterSampler,
        reorder::{Place, Reordering},
        slots::SlotClock,
    },
    in_flight::InFlight,
    rng::RngStreams,
};

/// A packet's transit of the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transit {
    due: Time,
    /// Set if those behind it will overtake.
    overtaken: bool,
    /// Nanoseconds on the wire.
    pub(crate) delay_ns: u64,
}

#[derive(Debug)]
pub(crate) struct Delay {
    delay_ns: u64,
    slots: SlotClock,
    jitter: JitterSampler,
    reordering: Reordering,
    in_order: bool,
    /// The latest time at which a packet in order is due.
    last_due: Time,
    /// Lower bound of the delay, in any phase.
    shortest_ns: u64,
    line: DelayLine,
}

impl Delay {
    /// The delay that starts with `fixed_ns` and whose fixed part is never below `fixed_min_ns`.
    pub(crate) fn new(
        settings: &DelaySettings,
        fixed_ns: u64,
        fixed_min_ns: u64,
        streams: RngStreams,
    ) -> Self {
        let jitter = JitterSampler::new(settings.jitter.clone(), streams);
        let shortest_ns = match settings.reorder {
            // A packet sent ahead has no delay at all: that is the bound, whatever the jitter.
            Some(reorder) if reorder.delay.is_none() => 0,
            _ => jitter.shortest_ns(fixed_min_ns),
        };
        Self {
            delay_ns: fixed_ns,
            slots: SlotClock::new(settings.slots, streams),
            jitter,
            reordering: Reordering::new(settings.reorder, streams),
            in_order: settings.in_order,
            last_due: Time::ZERO,
            shortest_ns,
            line: DelayLine::default(),
        }
    }

    /// Becomes `new`, except that what is on the wire stays there.
    pub(crate) fn replace_with(&mut self, new: Self) {
        *self = Self {
            line: std::mem::take(&mut self.line),
            // Kept, so that order holds across the change as well.
            last_due: self.last_due,
            ..new
        };
    }

    /// Sets the fixed delay of packets that come to the wire from now on.
    pub(crate) const fn set_fixed_ns(&mut self, fixed_ns: u64) {
        self.delay_ns = fixed_ns;
    }

    /// Returns the delay of packets to which nothing happens by chance, in nanoseconds.
    pub(crate) const fn fixed_ns(&self) -> u64 {
        self.delay_ns
    }

    /// Lowers the bound of the delay to `ns`, if it is above that.
    pub(crate) fn allow(&mut self, ns: u64) {
        self.shortest_ns = self.shortest_ns.min(ns);
    }

    /// Returns the transit of a packet that comes to the wire. `replayed` is what a recording says,
    /// if one is replayed: the packet's delay, or the fixed one.
    pub(crate) fn transit(
        &mut self,
        now: Time,
        packet: &InFlight,
        replayed: Option<Option<u64>>,
    ) -> Transit {
        // Slots come before the recorded delay: they answer to the load, as the queue does.
        let now = self.slots.departure(now, packet.link_bytes);
        let transit = |due: Time, overtaken| Transit {
            due,
            overtaken,
            delay_ns: due.nanos_since(now),
        };
        if let Some(replayed) = replayed {
            return transit(now.plus_nanos(replayed.unwrap_or(self.delay_ns)), false);
        }
        let delay_ns = self.jitter.delay_ns(self.delay_ns, packet);
        let place = self.reordering.place(packet);
        // As `tc netem` does: not a shorter delay but none, past even those in order.
        if place == Place::Ahead {
            return transit(now, false);
        }
        let mut due = now.plus_nanos(delay_ns);
        if self.in_order {
            // A packet that jitter would let overtake waits for the one before it: tc-netem
            // reorders instead.
            due = due.max(self.last_due);
            self.last_due = due;
        }
        match place {
            // On top of `last_due`, which stays: the packets behind must not wait for a late one.
            Place::Late(ns) => transit(due.plus_nanos(ns), true),
            Place::Kept | Place::Ahead => transit(due, false),
        }
    }

    /// Puts the packet on the wire.
    pub(crate) fn enter(&mut self, transit: Transit, in_flight: Box<InFlight>) {
        self.line.add(transit.due, transit.overtaken, in_flight);
    }

    /// Takes the packet due first, if it is due by `now`, and the time at which it was.
    pub(crate) fn take(&mut self, now: Time) -> Option<(Time, Box<InFlight>)> {
        self.line.take(now)
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.line.next_due()
    }

    /// Returns the earliest time at which a packet that comes to the wire at `at` can be due.
    pub(crate) const fn earliest(&self, at: Time) -> Time {
        at.plus_nanos(self.shortest_ns)
    }
}
