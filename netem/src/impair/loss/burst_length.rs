//! A mean burst length as a scenario writes it: `"10p"` or `"2.5p"`.

use std::fmt;

use crate::units::{UnitError, split, text_form};

const BURST: &str = "a burst length";
const BURST_HINT: &str = "write \"10p\" (packets)";

/// A mean burst length in thousandths of a packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BurstLength(pub(super) u64);

impl std::str::FromStr for BurstLength {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text, BURST, BURST_HINT)?;
        let milli = number
            .times(1000)
            .filter(|_| unit == "p" || unit == "packets");
        milli
            .map(Self)
            .ok_or_else(|| UnitError::new(format!("{text:?} is not {BURST}: {BURST_HINT}")))
    }
}

impl fmt::Display for BurstLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 1000 {
            0 => write!(f, "{}p", self.0 / 1000),
            milli => write!(f, "{}.{milli:03}p", self.0 / 1000),
        }
    }
}

text_form!(BurstLength, BURST, BURST_HINT);
