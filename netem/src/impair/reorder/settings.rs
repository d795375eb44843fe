//! Reordering, as a profile asks for it.

use serde::{Deserialize, Serialize};

use crate::{
    impair::check_correlation,
    units::{DurationNs, Percent, UnitError},
};

/// Some packets leave their place: `reorder = { probability = "5%", delay = "10ms" }` holds one
/// in twenty back, so that others overtake it; without a delay they are sent at once, ahead of
/// what is on the wire, as `tc netem`'s `reorder` does (there past the rate as well, here not).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Reorder {
    /// Share of the packets.
    pub probability: Percent,
    /// Time by which they are held back. Default: they are not, but sent ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<DurationNs>,
    /// At least `gap - 1` packets keep their place between two that do not; with a probability
    /// of 100 % every `gap`th does not. Default 1, as in `tc netem`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<u64>,
    /// Correlation of a packet's reordering with that of the next, from 0 to below 100 %.
    /// Default 0. The probability is met all the same, unlike in `tc netem`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Percent>,
}

impl Reorder {
    pub(crate) fn check(&self) -> Result<(), UnitError> {
        check_correlation("reorder's correlation", self.correlation)?;
        if self.gap == Some(0) {
            return Err(UnitError::new("reorder with gap = 0: expected 1 or more"));
        }
        Ok(())
    }
}
