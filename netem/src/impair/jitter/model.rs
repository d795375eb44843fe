//! Jitter: how much a packet's delay differs from the fixed one.
//!
//! Memory is a normal process, `z' = ρ z + √(1 - ρ²) n`, whose rank is then looked up in the
//! distribution asked for (a Gaussian copula). So the distribution is met whatever the
//! correlation, unlike in `tc netem`, where memory narrows it.

use super::{
    normal,
    settings::{Jitter, JitterDistribution, TABLE_SCALE},
};
use crate::{
    in_flight::InFlight,
    rng::{RngStream, RngStreams, high},
};

/// Bound of normal values, in standard deviations.
const NORMAL_MAX: u64 = 7;
/// Value at which iproute2's table cuts the tail of its Pareto distribution, `32767 / 8192`.
const PARETO_MAX: f64 = 32767.0 / 8192.0;

#[derive(Debug)]
pub(crate) struct JitterSampler {
    jitter: Option<Jitter>,
    stream: RngStream,
    memory: Option<Memory>,
}

/// A normal process with one step a packet.
#[derive(Debug)]
struct Memory {
    /// ρ, and √(1 - ρ²).
    old: f64,
    new: f64,
    /// Present value; the first one comes from the first packet alone.
    value: Option<f64>,
    /// The first packet the process has not stepped for.
    next: u64,
}

impl Memory {
    fn step(&self, sample: u64) -> f64 {
        let fresh = normal::quantile(high(sample));
        let value = self
            .value
            .map_or(fresh, |value| self.old * value + self.new * fresh);
        // Bounded, because `shortest_ns` has to promise a least delay.
        value.clamp(-(NORMAL_MAX as f64), NORMAL_MAX as f64)
    }

    /// Returns the process at this packet. A copy, and a packet that comes after its successors, stand
    /// beside it: correlated with the present value, but no later value depends on them.
    fn at(&mut self, stream: &mut RngStream, index: u64, copy: bool) -> f64 {
        // Not part of the chain: later values must be the same whether or not there was a copy.
        if copy || index < self.next {
            return self.step(stream.at(index, copy));
        }
        while self.next <= index {
            self.value = Some(self.step(stream.at(self.next, false)));
            self.next += 1;
        }
        self.value.unwrap_or(0.0)
    }
}

impl JitterSampler {
    pub(crate) fn new(jitter: Option<Jitter>, streams: RngStreams) -> Self {
        let correlation = jitter
            .as_ref()
            .map_or(0.0, |jitter| jitter.correlation.fraction());
        let memory = (correlation > 0.0).then(|| Memory {
            old: correlation,
            new: libm::sqrt(1.0 - correlation * correlation),
            value: None,
            next: 0,
        });
        Self {
            jitter,
            stream: streams.by_packet("jitter"),
            memory,
        }
    }

    /// Returns the delay of this packet where the fixed one is `delay_ns`.
    pub(crate) fn delay_ns(&mut self, delay_ns: u64, in_flight: &InFlight) -> u64 {
        let Some(jitter) = &self.jitter else {
            return delay_ns;
        };
        let (index, copy) = (in_flight.index, in_flight.duplicate);
        let normal = match &mut self.memory {
            Some(memory) => Some(memory.at(&mut self.stream, index, copy)),
            None => None,
        };
        // With memory the rank of the normal process takes the place of the sample, so that any
        // distribution can be looked up by it.
        let sample = match normal {
            Some(value) => rank(value),
            None => self.stream.at(index, copy),
        };
        match jitter.distribution {
            JitterDistribution::Uniform => {
                // Both ends included; the product's upper half is uniform without a division.
                let width = u128::from(jitter.ns) * 2 + 1;
                let offset_ns = ((u128::from(sample) * width) >> 64) as u64;
                (delay_ns + offset_ns).saturating_sub(jitter.ns)
            }
            JitterDistribution::Normal => {
                // With memory the process is normal already: to look its rank up would only lose
                // digits.
                let value = normal.unwrap_or_else(|| normal::quantile(high(sample)));
                scaled(delay_ns, jitter.ns, value)
            }
            JitterDistribution::Pareto => scaled(delay_ns, jitter.ns, pareto(high(sample))),
            JitterDistribution::ParetoNormal => {
                let bits = high(sample);
                let value = normal.unwrap_or_else(|| normal::quantile(bits));
                // The Pareto value is that of the share above.
                let mixed = 0.25 * value + 0.75 * pareto(!bits);
                scaled(delay_ns, jitter.ns, mixed.min(PARETO_MAX))
            }
            JitterDistribution::Table => {
                let values = jitter
                    .table
                    .as_ref()
                    .map_or(&[0][..], |table| table.values());
                let place = ((u128::from(sample) * values.len() as u128) >> 64) as usize;
                delay_ns.saturating_add_signed(table_ns(jitter.ns, values[place]))
            }
        }
    }

    /// Returns the lower bound of the delay where the fixed one is `delay_ns`.
    pub(crate) fn shortest_ns(&self, delay_ns: u64) -> u64 {
        let Some(jitter) = &self.jitter else {
            return delay_ns;
        };
        delay_ns.saturating_sub(match jitter.distribution {
            JitterDistribution::Uniform | JitterDistribution::Pareto => jitter.ns,
            // -7/4, and three quarters of -2/3.
            JitterDistribution::ParetoNormal => jitter.ns.saturating_mul(3),
            JitterDistribution::Normal => jitter.ns.saturating_mul(NORMAL_MAX),
            // No value of a table is below -4.
            JitterDistribution::Table => jitter.ns.saturating_mul(4),
        })
    }
}

/// Returns the share of a normal distribution below `value`, in 2^-64.
fn rank(value: f64) -> u64 {
    // `erfc`, not `1 + erf`, which loses every digit in the lower tail.
    let share = 0.5 * libm::erfc(-value / std::f64::consts::SQRT_2);
    (share * 18_446_744_073_709_551_616.0) as u64
}

fn scaled(delay_ns: u64, unit_ns: u64, value: f64) -> u64 {
    delay_ns.saturating_add_signed(libm::round(value * unit_ns as f64) as i64)
}

/// Returns the value of a Pareto distribution exceeded by this share, as `pareto.dist` has it.
fn pareto(bits: u32) -> f64 {
    let share = (f64::from(bits) + 0.5) / 4_294_967_296.0;
    // The tail has no end: cut where the kernel's table ends, so that runs compare.
    ((1.0 / libm::cbrt(share) - 1.5) * 4.0 / 3.0).min(PARETO_MAX)
}

fn table_ns(unit_ns: u64, value: i16) -> i64 {
    let product = i128::from(unit_ns) * i128::from(value);
    let scale = i128::from(TABLE_SCALE);
    // Towards the nearest for both signs: a division towards zero would shift the mean.
    let rounded = (product + scale / 2).div_euclid(scale);
    i64::try_from(rounded).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}
