//! Jitter: how much a packet's delay differs from the fixed one.

use super::{InFlight, normal};
use crate::{
    link::Direction,
    profile::{Jitter, JitterDistribution},
    rng::{Draws, high},
};

/// No normal draw from 32 bits is further out, in standard deviations.
const NORMAL_MAX: u64 = 7;

#[derive(Debug)]
pub(crate) struct JitterStage {
    jitter: Option<Jitter>,
    draws: Draws,
}

impl JitterStage {
    pub(crate) fn new(jitter: Option<Jitter>, seed: u64, direction: Direction) -> Self {
        Self {
            jitter,
            draws: Draws::new(seed, direction, "jitter"),
        }
    }

    /// The delay of this packet where the fixed one is `delay_ns`.
    pub(crate) fn delay_ns(&mut self, delay_ns: u64, in_flight: &InFlight) -> u64 {
        let Some(jitter) = self.jitter else {
            return delay_ns;
        };
        let draw = self.draws.at(in_flight.index, in_flight.duplicate);
        match jitter.distribution {
            JitterDistribution::Uniform => {
                let width = u128::from(jitter.ns) * 2 + 1;
                let offset_ns = ((u128::from(draw) * width) >> 64) as u64;
                (delay_ns + offset_ns).saturating_sub(jitter.ns)
            }
            JitterDistribution::Normal => {
                let offset_ns = normal::quantile(high(draw)) * jitter.ns as f64;
                delay_ns.saturating_add_signed(libm::round(offset_ns) as i64)
            }
        }
    }

    /// No packet's delay is shorter.
    pub(crate) fn shortest_ns(&self, delay_ns: u64) -> u64 {
        let Some(jitter) = self.jitter else {
            return delay_ns;
        };
        delay_ns.saturating_sub(match jitter.distribution {
            JitterDistribution::Uniform => jitter.ns,
            JitterDistribution::Normal => jitter.ns.saturating_mul(NORMAL_MAX),
        })
    }
}
