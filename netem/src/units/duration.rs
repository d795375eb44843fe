//! Lengths of time: `"20ms"`.

use std::{fmt, str::FromStr, time::Duration};

use super::{
    UnitError,
    decimal::{in_units, write_in_units},
    text_form,
};

/// A length of time in whole nanoseconds: `"20ms"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DurationNs(pub u64);

const DURATION: &str = "a duration";
const DURATION_HINT: &str = "write \"20ms\" (ns, us, ms, s, min, h)";
const DURATION_UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// Ten years: long enough, and sums of a few never overflow.
const DURATION_MAX_NS: u64 = 10 * 365 * 24 * 3_600_000_000_000;

impl DurationNs {
    /// Returns the duration as the standard library has it.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl FromStr for DurationNs {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        in_units(
            text,
            DURATION,
            DURATION_HINT,
            &DURATION_UNITS,
            DURATION_MAX_NS,
        )
        .map(Self)
    }
}

impl fmt::Display for DurationNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_in_units(
            f,
            self.0,
            &[
                ("ns", 1),
                ("us", 1_000),
                ("ms", 1_000_000),
                ("s", 1_000_000_000),
            ],
        )
    }
}

text_form!(DurationNs, DURATION, DURATION_HINT);
