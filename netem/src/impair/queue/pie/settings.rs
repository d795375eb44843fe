//! PIE's parameters.

use serde::{Deserialize, Serialize};

use crate::units::{DurationNs, UnitError};

/// PIE's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PieSettings {
    /// Target sojourn time; above 0. Default 15 ms (RFC 8033 §4.2).
    pub target: DurationNs,
    /// Interval between updates of the probability; above 0. Default 15 ms (§4.2).
    pub update: DurationNs,
    /// Time after an idle period in which nothing is dropped. Default 150 ms (§4.4).
    pub burst: DurationNs,
    /// Marks rather than drops, up to a probability of 10 % (§5.1).
    pub ecn: bool,
}

impl Default for PieSettings {
    fn default() -> Self {
        Self {
            target: DurationNs(15_000_000),
            update: DurationNs(15_000_000),
            burst: DurationNs(150_000_000),
            ecn: false,
        }
    }
}

impl PieSettings {
    pub(in crate::impair::queue) fn check(&self) -> Result<(), UnitError> {
        if self.target.0 == 0 || self.update.0 == 0 {
            return Err(UnitError::new(
                "pie's target and update must be above 0: expected such as \"15ms\"",
            ));
        }
        Ok(())
    }
}
