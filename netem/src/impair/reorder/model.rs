//! Packets that leave their place: held back, so that others overtake them, or sent ahead.

use super::settings::Reorder;
use crate::{impair::bernoulli::Bernoulli, in_flight::InFlight, rng::RngStreams, units::Percent};

#[derive(Debug)]
pub(crate) struct Reordering {
    happens: Bernoulli,
    /// Packets that must keep their place between two that do not, plus one.
    gap: u64,
    /// Packets in order since the last that was not.
    since: u64,
    /// Nanoseconds by which they are held back; `None` sends them ahead.
    late_ns: Option<u64>,
}

/// A packet's place in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is due as it would have been.
    Kept,
    /// It is due so many nanoseconds later, and those behind it may be due earlier.
    Late(u64),
    /// Due at once.
    Ahead,
}

impl Reordering {
    pub(crate) fn new(reorder: Option<Reorder>, streams: RngStreams) -> Self {
        let share = reorder.map_or(Percent::ZERO, |reorder| reorder.probability);
        let correlation = reorder.and_then(|reorder| reorder.correlation);
        Self {
            happens: Bernoulli::new(
                share,
                correlation.unwrap_or_default(),
                streams.by_packet("reorder"),
            ),
            gap: reorder.and_then(|reorder| reorder.gap).unwrap_or(1),
            since: 0,
            late_ns: reorder
                .and_then(|reorder| reorder.delay)
                .map(|delay| delay.0),
        }
    }

    /// Samples the packet's place.
    pub(crate) fn place(&mut self, in_flight: &InFlight) -> Place {
        self.since += 1;
        // Sampled even within the gap: the chain of a correlation steps for every packet.
        let hit = self.happens.sample(in_flight.index, in_flight.duplicate);
        // Within the gap a hit is lost, not put off, as in tc-netem.
        if hit.is_none() || self.since < self.gap {
            return Place::Kept;
        }
        self.since = 0;
        self.late_ns.map_or(Place::Ahead, Place::Late)
    }
}
