//! Which packets change their place: made late, so that others overtake them, or sent ahead.

use super::{InFlight, chance::Chance};
use crate::{
    Direction,
    profile::{Percent, Reorder},
};

#[derive(Debug)]
pub(crate) struct Reordering {
    chance: Chance,
    /// Packets in order that must come between two that are not, plus one.
    gap: u64,
    /// Packets in order since the last that was not.
    since: u64,
    /// How late they are; `None` sends them ahead.
    late_ns: Option<u64>,
}

/// What becomes of a packet's place.
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
    pub(crate) fn new(reorder: Option<Reorder>, seed: u64, direction: Direction) -> Self {
        let share = reorder.map_or(Percent::ZERO, |reorder| reorder.probability);
        let correlation = reorder.and_then(|reorder| reorder.correlation);
        Self {
            chance: Chance::new(
                share,
                correlation.unwrap_or_default(),
                seed,
                direction,
                "reorder",
            ),
            gap: reorder.and_then(|reorder| reorder.gap).unwrap_or(1),
            since: 0,
            late_ns: reorder
                .and_then(|reorder| reorder.delay)
                .map(|delay| delay.0),
        }
    }

    /// Where the packet is to be.
    pub(crate) fn place(&mut self, in_flight: &InFlight) -> Place {
        self.since += 1;
        let hit = self.chance.hit(in_flight.index, in_flight.duplicate);
        if hit.is_none() || self.since < self.gap {
            return Place::Kept;
        }
        self.since = 0;
        self.late_ns.map_or(Place::Ahead, Place::Late)
    }
}
