//! Duplication: a packet becomes two, the copy right behind it. Copies are not copied again.

use super::{InFlight, chance::Chance};
use crate::{Direction, profile::DirectionProfile};

#[derive(Debug)]
pub(crate) struct Duplicate {
    chance: Chance,
}

impl Duplicate {
    pub(crate) fn new(profile: &DirectionProfile, seed: u64, direction: Direction) -> Self {
        let (share, correlation) = (profile.duplicate, profile.duplicate_correlation);
        Self {
            chance: Chance::new(share, correlation, seed, direction, "duplicate"),
        }
    }

    /// The copy of this packet, if it is to have one.
    pub(crate) fn copy(&mut self, in_flight: &InFlight) -> Option<Box<InFlight>> {
        let hit = self.chance.hit(in_flight.index, false);
        hit.map(|_| in_flight.copy())
    }
}
