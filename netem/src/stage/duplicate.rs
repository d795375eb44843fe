//! Duplication: a packet becomes two, the copy right behind it. Copies are not copied again.

use super::InFlight;
use crate::{
    link::Direction,
    profile::Percent,
    rng::{Draws, Threshold, high},
};

#[derive(Debug)]
pub(crate) struct Duplicate {
    probability: Threshold,
    draws: Draws,
}

impl Duplicate {
    pub(crate) fn new(probability: Percent, seed: u64, direction: Direction) -> Self {
        Self {
            probability: probability.threshold(),
            draws: Draws::new(seed, direction, "duplicate"),
        }
    }

    /// The copy of this packet, if it is to have one.
    pub(crate) fn copy(&mut self, in_flight: &InFlight) -> Option<Box<InFlight>> {
        if self.probability.is_never() {
            return None;
        }
        let draw = self.draws.at(in_flight.index, false);
        self.probability.hits(high(draw)).then(|| {
            Box::new(InFlight {
                duplicate: true,
                ..in_flight.clone()
            })
        })
    }
}
