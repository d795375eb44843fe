//! A frequency: `"0.16Hz"`.

use std::{fmt, str::FromStr};

use super::{
    UnitError,
    decimal::{in_units, write_in_units},
    text_form,
};

/// A frequency in whole millionths of a hertz: `"0.16Hz"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Frequency {
    micro_hz: u64,
}

const FREQUENCY: &str = "a frequency";
const FREQUENCY_HINT: &str = "write \"0.16Hz\" (uHz, mHz, Hz, kHz)";
const FREQUENCY_UNITS: [(&str, u64); 4] = [
    ("uHz", 1),
    ("mHz", 1_000),
    ("Hz", 1_000_000),
    ("kHz", 1_000_000_000),
];
/// A gigahertz: times ten years in nanoseconds it is still far from 128 bits.
const FREQUENCY_MAX_MICRO_HZ: u64 = 1_000_000_000_000_000;

impl Frequency {
    /// Creates a frequency of `micro_hz` millionths of a hertz.
    #[must_use]
    pub const fn from_micro_hz(micro_hz: u64) -> Self {
        Self { micro_hz }
    }

    /// Returns the millionths of a hertz.
    #[must_use]
    pub const fn micro_hz(self) -> u64 {
        self.micro_hz
    }
}

impl FromStr for Frequency {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let max = FREQUENCY_MAX_MICRO_HZ;
        in_units(text, FREQUENCY, FREQUENCY_HINT, &FREQUENCY_UNITS, max).map(Self::from_micro_hz)
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_in_units(f, self.micro_hz, &FREQUENCY_UNITS)
    }
}

text_form!(Frequency, FREQUENCY, FREQUENCY_HINT);
