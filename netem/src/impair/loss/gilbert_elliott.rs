//! Loss in bursts: a chain of a good and a bad state (Gilbert 1960, Elliott 1963).

use crate::{
    rng::Threshold,
    units::{Percent, UnitError},
};

/// The Gilbert-Elliott model with the names of `tc netem`: a chain of a good and a bad state that
/// may change before each packet, which is then lost with its state's probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GilbertElliott {
    pub(super) spelling: Spelling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Good to bad, bad to good, loss in bad (`1-h`), loss in good (`1-k`).
    Chain {
        p: Percent,
        r: Percent,
        bad: Percent,
        good: Percent,
    },
    /// Everything in the bad state is lost and nothing in the good one; the mean burst in
    /// thousandths of a packet.
    Burst { mean: Percent, milli_packets: u64 },
}

impl GilbertElliott {
    /// Creates the model from `gemodel`'s parameters; `bad` is its `1-h` and `good` its `1-k`.
    ///
    /// # Errors
    /// Both `p` and `r` are 0: the chain would stay in its first state for ever.
    pub fn from_chain(
        p: Percent,
        r: Percent,
        bad: Percent,
        good: Percent,
    ) -> Result<Self, UnitError> {
        if p == Percent::ZERO && r == Percent::ZERO {
            return Err(UnitError::new(
                "p and r are both 0%, so the state would never change: expected one above 0%",
            ));
        }
        let spelling = Spelling::Chain { p, r, bad, good };
        Ok(Self { spelling })
    }

    /// Creates the model from the share of packets lost and the mean length of a burst, in
    /// thousandths of a packet.
    ///
    /// # Errors
    /// A burst below one packet, a mean of 100 %, and a mean that such short bursts cannot reach.
    pub fn from_burst(mean: Percent, milli_packets: u64) -> Result<Self, UnitError> {
        if milli_packets < 1000 {
            return Err(UnitError::new(
                "a burst must be at least one packet long: expected \"1p\" or more",
            ));
        }
        if mean == Percent::HUNDRED {
            return Err(UnitError::new(
                "bursts cannot have a mean of 100%: write loss = \"100%\" instead",
            ));
        }
        // At the most, one good packet separates two bursts: mean <= burst / (burst + 1).
        let (lost, kept) = (mean.parts(), mean.complement().parts());
        let needed_milli = (u128::from(lost) * 1000).div_ceil(u128::from(kept));
        if u128::from(milli_packets) < needed_milli {
            return Err(UnitError::new(format!(
                "a mean of {mean} needs bursts of at least {} packets",
                needed_milli.div_ceil(1000)
            )));
        }
        let spelling = Spelling::Burst {
            mean,
            milli_packets,
        };
        Ok(Self { spelling })
    }

    /// Returns the share of packets lost in the long run: `((1-k) r + (1-h) p) / (p + r)`.
    #[must_use]
    pub fn mean(&self) -> Percent {
        match self.spelling {
            Spelling::Burst { mean, .. } => mean,
            Spelling::Chain { p, r, bad, good } => {
                let product =
                    |a: Percent, b: Percent| u128::from(a.parts()) * u128::from(b.parts());
                let sum = u128::from(p.parts() + r.parts());
                Percent::from_parts(((product(good, r) + product(bad, p)) / sum) as u64)
            }
        }
    }

    /// Returns the options of `tc netem`; `None` for a burst length, which it does not know.
    pub(crate) fn tc(self) -> Option<String> {
        match self.spelling {
            Spelling::Chain { p, r, bad, good } => Some(format!("gemodel {p} {r} {bad} {good}")),
            Spelling::Burst { .. } => None,
        }
    }

    pub(crate) fn thresholds(&self) -> GilbertThresholds {
        match self.spelling {
            Spelling::Chain { p, r, bad, good } => GilbertThresholds {
                to_bad: p.threshold(),
                to_good: r.threshold(),
                bad: bad.threshold(),
                good: good.threshold(),
            },
            Spelling::Burst {
                mean,
                milli_packets,
            } => {
                let burst = u128::from(milli_packets);
                let (lost, kept) = (mean.parts(), mean.complement().parts());
                // In the bad state for a share `mean`: to_bad / (to_bad + to_good) = mean, with
                // to_good = 1 / burst.
                let (part, whole) = (u128::from(lost) * 1000, u128::from(kept) * burst);
                GilbertThresholds {
                    // The check in `from_burst` rounds up, so that the ratio may exceed 1 by a
                    // fraction.
                    to_bad: Threshold::ratio(part.min(whole), whole),
                    to_good: Threshold::ratio(1000, burst),
                    bad: Threshold::ratio(1, 1),
                    good: Threshold::default(),
                }
            }
        }
    }
}

/// The model as probabilities to be compared with samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GilbertThresholds {
    pub(crate) to_bad: Threshold,
    pub(crate) to_good: Threshold,
    pub(crate) bad: Threshold,
    pub(crate) good: Threshold,
}
