//! Rates: `"100mbit"`.

use std::{fmt, str::FromStr};

use super::{
    UnitError,
    decimal::{in_units, write_in_units},
    text_form,
};

/// A rate in bits per second, never 0: `"100mbit"`. Prefixes are decimal, as in `tc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    bps: u64,
}

const RATE: &str = "a rate";
const RATE_HINT: &str = "write \"100mbit\" (bit, kbit, mbit, gbit: bits per second)";
const RATE_UNITS: [(&str, u64); 5] = [
    ("bit", 1),
    ("kbit", 1_000),
    ("mbit", 1_000_000),
    ("gbit", 1_000_000_000),
    ("tbit", 1_000_000_000_000),
];
/// A petabit per second: beyond it a packet is shorter than the arithmetic resolves.
const RATE_MAX_BPS: u64 = 1_000_000_000_000_000;

impl Rate {
    /// Creates a rate of `bps` bits per second.
    ///
    /// # Errors
    /// 0, and more than a petabit.
    pub fn from_bps(bps: u64) -> Result<Self, UnitError> {
        match bps {
            0 => Err(UnitError::new(
                "a rate of 0 would never send anything: expected at least \"1bit\" (to cut a \
                 link, schedule a blackout)",
            )),
            1..=RATE_MAX_BPS => Ok(Self { bps }),
            _ => Err(UnitError::new("a rate can be 1000tbit at most")),
        }
    }

    /// Returns the bits per second.
    #[must_use]
    pub const fn bps(self) -> u64 {
        self.bps
    }

    /// Returns the bytes sent in `ns` nanoseconds, rounded down.
    #[must_use]
    pub fn bytes_in(self, ns: u64) -> u64 {
        let bytes = u128::from(self.bps) * u128::from(ns) / 8_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let lower = text.to_ascii_lowercase();
        let plain = lower.trim().trim_end_matches("/s");
        if plain.ends_with("bps") {
            // Bits to most programs, bytes to tc: there is no reading that misleads no user.
            return Err(UnitError::new(format!(
                "{text:?} is ambiguous (to tc, \"bps\" are bytes): {RATE_HINT}"
            )));
        }
        Self::from_bps(in_units(plain, RATE, RATE_HINT, &RATE_UNITS, RATE_MAX_BPS)?)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_in_units(f, self.bps, &RATE_UNITS)
    }
}

text_form!(Rate, RATE, RATE_HINT);
