//! RED's parameters.

use serde::{Deserialize, Serialize};

use crate::{
    impair::queue::limit::QueueSize,
    units::{Percent, UnitError},
};

/// RED's parameters (Floyd and Jacobson 1993; `tc-red(8)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedSettings {
    /// Average below which nothing is dropped; above 0.
    pub min: QueueSize,
    /// Average from which on everything is; above `min`.
    pub max: QueueSize,
    /// Share dropped just below `max`. Default 2 %, as in the paper (§IV).
    #[serde(default = "red_probability")]
    pub probability: Percent,
    /// Binary logarithm of the share by which the average moves at each packet, from 0 to 30. Default
    /// 9, near the paper's 0.002.
    #[serde(default = "red_weight")]
    pub weight: u8,
    /// Marks rather than drops.
    #[serde(default)]
    pub ecn: bool,
}

const fn red_probability() -> Percent {
    Percent::from_parts(Percent::WHOLE / 50)
}

const fn red_weight() -> u8 {
    9
}

impl RedSettings {
    pub(in crate::impair::queue) fn check(&self) -> Result<(), UnitError> {
        if self.weight > 30 {
            return Err(UnitError::new("red's weight must be at most 30"));
        }
        Ok(())
    }
}

/// RED's parameters in base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Red {
    /// Average below which nothing is dropped.
    pub min_bytes: u64,
    /// Average from which on everything is.
    pub max_bytes: u64,
    /// Share dropped just below the maximum.
    pub probability: Percent,
    /// Binary logarithm of the share by which the average moves at each packet.
    pub weight: u8,
    /// Marks rather than drops.
    pub ecn: bool,
    /// Nanoseconds that a full packet takes to send: the clock of the average in an idle time.
    pub packet_ns: u64,
}
