//! Loss that depends on the packet before: with the numbers asked for, and with `tc netem`'s.

use super::gilbert_elliott::GilbertThresholds;
use crate::{
    impair::bernoulli::transitions,
    rng::Threshold,
    units::{Percent, UnitError},
};

/// Loss with this mean, where neighbours are correlated by this much.
///
/// A two-state chain: after a lost packet the next is lost with probability
/// `mean + correlation (1 - mean)`, after one that came through with `mean (1 - correlation)`.
/// So the mean is met, the correlation at distance `n` is `correlation ^ n`, and a burst is
/// `1 / ((1 - mean) (1 - correlation))` packets long on average.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CorrelatedLoss {
    pub(super) mean: Percent,
    pub(super) correlation: Percent,
}

impl CorrelatedLoss {
    /// Creates the model with this mean and correlation.
    ///
    /// # Errors
    /// A correlation of 100 %: what happened to the first packet would happen to all.
    pub fn new(mean: Percent, correlation: Percent) -> Result<Self, UnitError> {
        if correlation == Percent::HUNDRED {
            return Err(UnitError::new(
                "a correlation of 100% would never let the loss change: expected less",
            ));
        }
        Ok(Self { mean, correlation })
    }

    pub(crate) fn thresholds(self) -> GilbertThresholds {
        let (to_bad, to_good) = transitions(self.mean, self.correlation);
        GilbertThresholds {
            to_bad,
            to_good,
            bad: Threshold::ratio(1, 1),
            good: Threshold::default(),
        }
    }
}

/// `tc netem`'s `loss random P CORRELATION`, to the bit.
///
/// Its generator mixes each uniform number with the one before
/// (`get_crandom` in `net/sched/sch_netem.c`), which narrows their distribution: at 10 % and a
/// correlation of 25 % only 1.8 % are lost, and at 0.3 % and 25 %, the example of tc-netem(8),
/// none. It is here for the sake of comparison; [`CorrelatedLoss`] does what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetemCorrelatedLoss {
    pub(super) probability: Percent,
    pub(super) correlation: Percent,
}

impl NetemCorrelatedLoss {
    /// Creates the model from the numbers that `tc` would be given.
    #[must_use]
    pub const fn new(probability: Percent, correlation: Percent) -> Self {
        Self {
            probability,
            correlation,
        }
    }

    pub(crate) fn tc(self) -> String {
        format!("random {} {}", self.probability, self.correlation)
    }

    /// Returns a percentage as `tc` scales it: `rint(share * (2^32 - 1))`.
    fn scaled(percent: Percent) -> u32 {
        let whole = u128::from(Percent::WHOLE);
        let scaled = u128::from(percent.parts()) * u128::from(u32::MAX) + whole / 2;
        (scaled / whole) as u32
    }

    /// Returns the probability and the correlation as the kernel has them.
    pub(crate) fn kernel(self) -> (u32, u32) {
        (
            Self::scaled(self.probability),
            Self::scaled(self.correlation),
        )
    }

    /// Returns the share of packets lost in the long run, not what is asked: found by counting over
    /// 2^16 numbers of a fixed sequence, so good to about a tenth of a percent.
    #[must_use]
    pub fn mean(&self) -> Percent {
        // Without correlation the generator is uniform, and the mean is what was asked for.
        if self.correlation == Percent::ZERO {
            return self.probability;
        }
        let (probability, correlation) = self.kernel();
        let (mut state, mut last, mut lost) = (0x9e37_79b9_7f4a_7c15_u64, 1 << 31, 0);
        for _ in 0..1 << 16 {
            // Marsaglia's xorshift (2003): any even sequence will do.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            last = mix((state >> 32) as u32, last, correlation);
            lost += u64::from(last <= probability);
        }
        Percent::from_parts(lost * (Percent::WHOLE >> 16))
    }
}

/// Mixes a uniform number with the last answer, as `get_crandom` does.
pub(crate) const fn mix(fresh: u32, last: u32, correlation: u32) -> u32 {
    if correlation == 0 {
        return fresh;
    }
    // The kernel's `rho = correlation + 1`, to the bit: 100 % is 2^32.
    let rho = correlation as u64 + 1;
    ((fresh as u64 * ((1 << 32) - rho) + last as u64 * rho) >> 32) as u32
}
