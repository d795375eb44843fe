//! Corruption: one random bit of the payload is flipped, as `tc netem` does with its `corrupt`.
//!
//! Headers stay whole: a real one that was hit would be dropped by its checksum.

use super::{InFlight, chance::Chance};
use crate::{Direction, profile::DirectionProfile, rng::low};

#[derive(Debug)]
pub(crate) struct Corrupt {
    chance: Chance,
}

impl Corrupt {
    pub(crate) fn new(profile: &DirectionProfile, seed: u64, direction: Direction) -> Self {
        let (share, correlation) = (profile.corrupt, profile.corrupt_correlation);
        Self {
            chance: Chance::new(share, correlation, seed, direction, "corrupt"),
        }
    }

    /// Flips a bit or does not; says which. There is nothing to flip in an empty payload.
    pub(crate) fn pass(&mut self, in_flight: &mut InFlight) -> Option<u64> {
        let draw = self.chance.hit(in_flight.index, in_flight.duplicate)?;
        let bits = in_flight.packet.payload.len() as u64 * 8;
        let bit = ((u128::from(low(draw)) * u128::from(bits)) >> 32) as u64;
        in_flight.flip(bit).then_some(bit)
    }
}
