//! A number of bytes that may be negative: `"-14B"`.

use std::{fmt, str::FromStr};

use super::{Size, UnitError, text_form};

/// A number of bytes that may be below zero: `"24B"`, `"-14B"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SignedSize(pub i64);

const SIGNED: &str = "a number of bytes";
const SIGNED_HINT: &str = "write \"24B\" or \"-14B\"";
/// Limit of `tc` (`packet_overhead` is an `s32`).
const SIGNED_MAX: u64 = i32::MAX as u64;

impl FromStr for SignedSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (sign, amount) = match text.trim().strip_prefix('-') {
            Some(amount) => (-1, amount),
            None => (1, text),
        };
        let Size(bytes) = amount
            .parse()
            .map_err(|_| UnitError::new(format!("{text:?} is not {SIGNED}: {SIGNED_HINT}")))?;
        if bytes > SIGNED_MAX {
            return Err(UnitError::new(format!(
                "{text:?} is above the limit of {SIGNED}"
            )));
        }
        Ok(Self(sign * bytes as i64))
    }
}

impl fmt::Display for SignedSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}", Size(self.0.unsigned_abs()))
    }
}

text_form!(SignedSize, SIGNED, SIGNED_HINT);
