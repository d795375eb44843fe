//! Slots, as a profile asks for them.

use serde::{Deserialize, Serialize};

use crate::units::{DurationNs, Size, UnitError};

/// The wire takes packets only in slots: `slots = { min = "2ms", max = "6ms", packets = 32,
/// bytes = "64KiB" }`. Between two slots lies a random time from `min` to `max`; what comes in
/// between waits for the next, and what has no room there for the one after. Like
/// `tc netem`'s `slot`, but before the delay, and without a limit on what waits: let the slots
/// have room for what the rate sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slots {
    /// The shortest time between two slots; at least 10 µs.
    pub min: DurationNs,
    /// The longest; at least `min`.
    pub max: DurationNs,
    /// Room of a slot in packets; above 0. Default: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<u64>,
    /// Room of a slot in bytes; a larger packet takes a whole slot. Default: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Size>,
}

/// Shorter ones would cost more to skip than they are worth.
const MIN_NS: u64 = 10_000;

impl Slots {
    pub(crate) fn check(&self) -> Result<(), UnitError> {
        let fail = |message| Err(UnitError::new(message));
        if self.min.0 < MIN_NS {
            return fail("slots must be at least 10us apart: expected such as min = \"2ms\"");
        }
        if self.max < self.min {
            return fail("slots with max below min: expected max >= min");
        }
        if self.packets == Some(0) || self.bytes == Some(Size(0)) {
            return fail("slots without room: expected packets and bytes above 0");
        }
        Ok(())
    }

    pub(crate) fn packets_max(&self) -> u64 {
        self.packets.unwrap_or(u64::MAX)
    }

    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes.map_or(u64::MAX, |bytes| bytes.0)
    }
}
