//! The way through the wire: fixed delay, jitter, and packets that are late.

use super::{InFlight, jitter::JitterStage, line::Line};
use crate::{
    Time,
    link::Direction,
    profile::{DirectionProfile, Phase},
    rng::{Draws, Threshold, high},
};

#[derive(Debug)]
pub(crate) struct Delay {
    delay_ns: u64,
    jitter: JitterStage,
    late: Threshold,
    late_ns: u64,
    late_draws: Draws,
    in_order: bool,
    /// The latest moment at which a packet in order is due.
    last_due: Time,
    /// No packet takes less, in any phase.
    shortest_ns: u64,
    line: Line,
}

impl Delay {
    pub(crate) fn new(profile: &DirectionProfile, seed: u64, direction: Direction) -> Self {
        let jitter = JitterStage::new(profile.jitter, seed, direction);
        let delays_ns = profile.phases().iter().map(|phase| phase.delay_ns);
        let shortest_ns = jitter.shortest_ns(delays_ns.min().unwrap_or(0));
        let reorder = profile.reorder;
        Self {
            delay_ns: profile.delay_ns(),
            jitter,
            late: reorder.map_or_else(Threshold::default, |late| late.probability.threshold()),
            late_ns: reorder.map_or(0, |late| late.delay.0),
            late_draws: Draws::new(seed, direction, "reorder"),
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
        let delay_ns = self.jitter.delay_ns(self.delay_ns, &in_flight);
        let mut due = now.plus_nanos(delay_ns);
        if self.in_order {
            due = due.max(self.last_due);
            self.last_due = due;
        }
        let late = !self.late.is_never() && {
            let draw = self.late_draws.at(in_flight.index, in_flight.duplicate);
            self.late.hits(high(draw))
        };
        if late {
            due = due.plus_nanos(self.late_ns);
        }
        self.line.add(due, late, in_flight);
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
