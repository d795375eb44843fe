//! Shares: `"2.5%"`.

use std::{fmt, str::FromStr};

use super::{UnitError, decimal::split, text_form};
use crate::rng::Threshold;

/// A share of the whole, from 0 to 100 %: `"2.5%"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Percent {
    parts: u64,
}

const PERCENT: &str = "a share";
const PERCENT_HINT: &str = "write \"10%\"";

impl Percent {
    /// Number of parts in a whole, which is 100 %.
    pub const WHOLE: u64 = 1_000_000_000_000;
    /// Nothing.
    pub const ZERO: Self = Self { parts: 0 };
    /// Everything.
    pub const HUNDRED: Self = Self { parts: Self::WHOLE };

    /// Creates a share of `parts` of [`WHOLE`](Self::WHOLE); at most all of them.
    #[must_use]
    pub const fn from_parts(parts: u64) -> Self {
        let parts = if parts > Self::WHOLE {
            Self::WHOLE
        } else {
            parts
        };
        Self { parts }
    }

    /// Returns the number of parts of [`WHOLE`](Self::WHOLE).
    #[must_use]
    pub const fn parts(self) -> u64 {
        self.parts
    }

    /// Returns the share from 0.0 to 1.0.
    #[must_use]
    pub fn fraction(self) -> f64 {
        self.parts as f64 / Self::WHOLE as f64
    }

    pub(crate) fn threshold(self) -> Threshold {
        Threshold::ratio(u128::from(self.parts), u128::from(Self::WHOLE))
    }

    /// Returns the rest of the whole.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self {
            parts: Self::WHOLE - self.parts,
        }
    }
}

impl FromStr for Percent {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text, PERCENT, PERCENT_HINT)?;
        if unit != "%" {
            return Err(UnitError::new(format!(
                "{unit:?} is not a unit of {PERCENT}: {PERCENT_HINT}"
            )));
        }
        match number.times(Self::WHOLE / 100) {
            Some(parts) if parts <= Self::WHOLE => Ok(Self { parts }),
            _ => Err(UnitError::new(format!(
                "{text:?} is above 100%: expected 0% to 100%"
            ))),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = Self::WHOLE / 100;
        let fraction = format!("{:010}", self.parts % one);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{}{point}{fraction}%", self.parts / one)
    }
}

text_form!(Percent, PERCENT, PERCENT_HINT);
