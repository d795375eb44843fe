//! Truncation: the payload loses its end, at least a byte of it.
//!
//! UDP as such has no such thing, but a tunnel or a careless middlebox may, and who reads
//! datagrams must survive it. What is cut off no longer weighs on the link.

use super::{InFlight, chance::Chance};
use crate::{
    Direction,
    profile::{DirectionProfile, Percent},
    rng::low,
};

#[derive(Debug)]
pub(crate) struct Truncate {
    chance: Chance,
}

impl Truncate {
    pub(crate) fn new(profile: &DirectionProfile, seed: u64, direction: Direction) -> Self {
        let share = profile.truncate;
        Self {
            chance: Chance::new(share, Percent::ZERO, seed, direction, "truncate"),
        }
    }

    /// Cuts the payload to a random length, evenly from 0 on, or does not; says to which.
    pub(crate) fn pass(&mut self, in_flight: &mut InFlight) -> Option<u64> {
        let draw = self.chance.hit(in_flight.index, in_flight.duplicate)?;
        let bytes = in_flight.packet.payload.len() as u64;
        let left = ((u128::from(low(draw)) * u128::from(bytes)) >> 32) as u64;
        in_flight.cut(left).then_some(left)
    }
}
