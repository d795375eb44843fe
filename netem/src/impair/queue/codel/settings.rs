//! CoDel's parameters.

use serde::{Deserialize, Serialize};

use crate::units::{DurationNs, UnitError};

/// CoDel's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoDelSettings {
    /// Sojourn time that packets may have; above 0. Default 5 ms (RFC 8289 §4.4).
    pub target: DurationNs,
    /// Time for which they may exceed it, about a round trip; above 0. Default 100 ms (§4.3).
    pub interval: DurationNs,
    /// Marks rather than drops.
    pub ecn: bool,
}

impl Default for CoDelSettings {
    fn default() -> Self {
        Self {
            target: DurationNs(5_000_000),
            interval: DurationNs(100_000_000),
            ecn: false,
        }
    }
}

impl CoDelSettings {
    pub(in crate::impair::queue) fn check(&self) -> Result<(), UnitError> {
        if self.target.0 == 0 || self.interval.0 == 0 {
            return Err(UnitError::new(
                "codel's target and interval must be above 0: expected such as \"5ms\"",
            ));
        }
        Ok(())
    }
}
