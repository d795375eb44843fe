//! Corruption: one random bit of the payload is flipped, as `tc netem` does with its `corrupt`.
//!
//! Headers stay whole: a real one that was hit would be dropped by its checksum.

use super::InFlight;
use crate::{
    link::Direction,
    profile::Percent,
    rng::{Draws, Threshold, high, low},
};

#[derive(Debug)]
pub(crate) struct Corrupt {
    probability: Threshold,
    draws: Draws,
}

impl Corrupt {
    pub(crate) fn new(probability: Percent, seed: u64, direction: Direction) -> Self {
        Self {
            probability: probability.threshold(),
            draws: Draws::new(seed, direction, "corrupt"),
        }
    }

    /// Flips a bit or does not; says which. There is nothing to flip in an empty payload.
    pub(crate) fn pass(&mut self, in_flight: &mut InFlight) -> bool {
        if self.probability.is_never() {
            return false;
        }
        let draw = self.draws.at(in_flight.index, in_flight.duplicate);
        let payload = &mut in_flight.packet.payload;
        if !self.probability.hits(high(draw)) || payload.is_empty() {
            return false;
        }
        let bits = payload.len() as u64 * 8;
        let bit = ((u128::from(low(draw)) * u128::from(bits)) >> 32) as usize;
        payload[bit / 8] ^= 1 << (bit % 8);
        in_flight.corrupted = true;
        true
    }
}
