//! Loss in bursts that have good packets in them, beside losses by themselves.

use crate::{
    rng::Threshold,
    units::{Percent, UnitError},
};

/// The 4-state chain of `tc netem`'s `loss state` (Salsano, Ludovici, Ordine, "Definition of a
/// general and intuitive loss model for packet networks and its implementation in the Netem
/// module in the Linux kernel", 2009).
///
/// ```text
///              p14                     p13                  p32
/// isolated ◀───────  1: good, in a gap ───▶ 3: lost, in a ───▶ 2: good, in a
///  loss 4  ───────▶                    ◀───    burst      ◀───    burst
///             always                   p31                  p23
/// ```
///
/// Before each packet the chain makes a step, and the state it comes to decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FourState {
    pub(super) p13: Percent,
    pub(super) p31: Percent,
    pub(super) p32: Percent,
    pub(super) p23: Percent,
    pub(super) p14: Percent,
}

impl FourState {
    /// Creates the model from the parameters of `loss state`, in the order of tc-netem(8). Its defaults are
    /// `p31 = 100% - p13`, `p32 = 0%`, `p23 = 100%`, `p14 = 0%`.
    ///
    /// # Errors
    /// `p13 + p14` or `p31 + p32` above 100 %, and a state that is entered and never left.
    pub fn new(
        p13: Percent,
        p31: Percent,
        p32: Percent,
        p23: Percent,
        p14: Percent,
    ) -> Result<Self, UnitError> {
        for (names, a, b) in [("p13 and p14", p13, p14), ("p31 and p32", p31, p32)] {
            // The kernel takes them and lets the first win; here a table that cannot be met is
            // refused.
            if a.parts() + b.parts() > Percent::WHOLE {
                return Err(UnitError::new(format!(
                    "{names} leave one state, so together they are 100% at most: \
                     {a} and {b} are more"
                )));
            }
        }
        // States that are never entered need no way out.
        let burst = p13 != Percent::ZERO;
        if burst && p31 == Percent::ZERO {
            return Err(UnitError::new(
                "with p31 = 0% a burst would never end: expected more",
            ));
        }
        if burst && p32 != Percent::ZERO && p23 == Percent::ZERO {
            return Err(UnitError::new(
                "with p23 = 0% the good packets of a burst would never end: expected more",
            ));
        }
        Ok(Self {
            p13,
            p31,
            p32,
            p23,
            p14,
        })
    }

    /// Returns the share of packets lost in the long run: with the states in balance,
    /// `p1 p13 = p3 p31`, `p3 p32 = p2 p23` and `p4 = p1 p14`.
    #[must_use]
    pub fn mean(&self) -> Percent {
        // Relative to the first state; the division below makes shares of them.
        let gap = 1.0;
        let (mut lost, mut good) = (0.0, 0.0);
        if self.p13 != Percent::ZERO {
            lost = self.p13.fraction() / self.p31.fraction();
            if self.p32 != Percent::ZERO {
                good = lost * self.p32.fraction() / self.p23.fraction();
            }
        }
        let isolated = self.p14.fraction();
        let share = (lost + isolated) / (gap + lost + good + isolated);
        Percent::from_parts((share * Percent::WHOLE as f64 + 0.5) as u64)
    }

    pub(crate) fn tc(self) -> String {
        let Self {
            p13,
            p31,
            p32,
            p23,
            p14,
        } = self;
        format!("state {p13} {p31} {p32} {p23} {p14}")
    }

    pub(crate) fn thresholds(self) -> FourStateThresholds {
        let whole = u128::from(Percent::WHOLE);
        let both = |a: Percent, b: Percent| {
            Threshold::ratio(u128::from(a.parts()) + u128::from(b.parts()), whole)
        };
        FourStateThresholds {
            isolated: self.p14.threshold(),
            // Sums, since one sample decides between two ways out: below the first, or below both.
            leave_gap: both(self.p14, self.p13),
            pause: self.p32.threshold(),
            leave_burst: both(self.p32, self.p31),
            resume: self.p23.threshold(),
        }
    }
}

/// The model as thresholds: of those that a sample stays below, the first counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FourStateThresholds {
    /// p14.
    pub(crate) isolated: Threshold,
    /// p14 + p13.
    pub(crate) leave_gap: Threshold,
    /// p32.
    pub(crate) pause: Threshold,
    /// p32 + p31.
    pub(crate) leave_burst: Threshold,
    /// p23.
    pub(crate) resume: Threshold,
}
