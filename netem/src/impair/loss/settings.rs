//! The loss models a profile can ask for.

use super::{
    by_index::{LossList, LossPattern, NthLoss},
    correlated::{CorrelatedLoss, NetemCorrelatedLoss},
    four_state::FourState,
    gilbert_elliott::GilbertElliott,
};
use crate::units::Percent;

/// Model of the loss on the wire.
///
/// In a scenario, as `loss =`
///
/// - `"10%"`: each by itself;
/// - `{ model = "gilbert-elliott", mean = "3%", burst = "10p" }`: in bursts, of this mean length;
/// - `{ model = "gilbert-elliott", p = "1%", r = "10%", 1-h = "100%", 1-k = "0%" }`: with the
///   parameters of `tc netem`'s `loss gemodel`;
/// - `{ model = "4-state", p13 = "1%", p31 = "20%", p32 = "30%", p23 = "50%", p14 = "0.1%" }`:
///   `tc netem`'s `loss state`;
/// - `{ model = "correlated", mean = "3%", correlation = "25%" }`: this mean and this
///   correlation of neighbours, both met;
/// - `{ model = "netem-correlated", probability = "3%", correlation = "25%" }`: `tc netem`'s
///   `loss random 3% 25%`, which loses far less than 3 %;
/// - `{ model = "list", packets = "0, 7, 20-29" }`: these, counted from 0 in each direction;
/// - `{ model = "nth", every = 10, first = 9 }`: one in ten, first the packet with index 9;
/// - `{ model = "pattern", pattern = "....x..xx" }`: those with an `x`, in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossModel {
    /// Each packet by itself, with this probability.
    Iid(Percent),
    /// In bursts.
    GilbertElliott(GilbertElliott),
    /// In bursts with good packets in them, and by themselves.
    FourState(FourState),
    /// With a mean and a correlation that are met.
    Correlated(CorrelatedLoss),
    /// With the formula of `tc netem`.
    NetemCorrelated(NetemCorrelatedLoss),
    /// Those in a list.
    List(LossList),
    /// Every Nth.
    Nth(NthLoss),
    /// By a pattern.
    Pattern(LossPattern),
}

impl LossModel {
    /// Nothing is lost.
    pub const NONE: Self = Self::Iid(Percent::ZERO);

    /// Returns the share of packets lost in the long run.
    #[must_use]
    pub fn mean(&self) -> Percent {
        match self {
            Self::Iid(probability) => *probability,
            Self::GilbertElliott(model) => model.mean(),
            Self::FourState(model) => model.mean(),
            Self::Correlated(model) => model.mean,
            Self::NetemCorrelated(model) => model.mean(),
            // A list ends, and what is finite is nothing in the long run.
            Self::List(_) => Percent::ZERO,
            Self::Nth(model) => model.mean(),
            Self::Pattern(pattern) => pattern.mean(),
        }
    }
}

impl Default for LossModel {
    fn default() -> Self {
        Self::NONE
    }
}
