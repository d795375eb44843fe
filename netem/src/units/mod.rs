//! Quantities as a scenario writes them: always with their unit, always exact.
//!
//! Each is a string of a decimal number and a unit, `"20ms"` or `"1.5 mbit"`. A bare number is
//! refused with the units that fit, since guessing is how a 1 % loss becomes 100 %.

mod frequency;
mod signed_size;
mod text_or_table;

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub(crate) use self::text_or_table::{Number, TextOrTable, TextOrTableVisitor};
pub use self::{frequency::Frequency, signed_size::SignedSize};
use crate::rng::Threshold;

/// A quantity that cannot be parsed: a message that says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);

impl UnitError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// A non-negative decimal number, exact: `digits / 10^scale`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal {
    digits: u128,
    scale: u32,
}

impl Decimal {
    /// Returns `self * factor`, rounded to a whole number; `None` beyond 64 bits.
    pub(crate) fn times(self, factor: u64) -> Option<u64> {
        let product = self.digits.checked_mul(u128::from(factor))?;
        let divisor = 10u128.pow(self.scale);
        u64::try_from((product + divisor / 2) / divisor).ok()
    }
}

/// Number of digits, fraction included, that a number may have.
const DIGITS_MAX: usize = 18;

/// Splits `text` into number and unit. `what` names the quantity and `hint` shows its units.
pub(crate) fn split<'t>(
    text: &'t str,
    what: &str,
    hint: &str,
) -> Result<(Decimal, &'t str), UnitError> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(UnitError::new(format!(
            "{what} cannot be negative, as {text:?} is"
        )));
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fits = whole.len() + fraction.len() <= DIGITS_MAX;
    let joined = format!("{whole}{fraction}");
    let digits = joined.parse().ok().filter(|_| fits && !whole.is_empty());
    let Some(digits) = digits else {
        return Err(UnitError::new(format!("{text:?} is not {what}: {hint}")));
    };
    // Never a default unit: a loss of "1" would be 1 % to one reader and 100 % to another.
    if unit.is_empty() {
        return Err(UnitError::new(format!(
            "{text:?} has no unit; {what} needs one: {hint}"
        )));
    }
    let scale = fraction.len() as u32;
    Ok((Decimal { digits, scale }, unit))
}

/// Parses a quantity in one of `units`.
fn in_units(
    text: &str,
    what: &str,
    hint: &str,
    units: &[(&str, u64)],
    max: u64,
) -> Result<u64, UnitError> {
    let (number, unit) = split(text, what, hint)?;
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(UnitError::new(format!(
            "{unit:?} is no unit of {what}: {hint}"
        )));
    };
    let value = number.times(*factor).filter(|value| *value <= max);
    value.ok_or_else(|| UnitError::new(format!("{text:?} is more than {what} can be here")))
}

/// Writes `value` in the largest unit that divides it.
fn write_in_units(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let exact = |(_, factor): &&(&str, u64)| value.is_multiple_of(*factor);
    let fits = units.iter().filter(exact).max_by_key(|(_, factor)| *factor);
    match fits {
        Some((name, factor)) if value > 0 => write!(f, "{}{name}", value / factor),
        _ => write!(f, "{value}{}", units[0].0),
    }
}

/// Implements the text form of a quantity for serde, whose errors keep their place in the file.
macro_rules! text_form {
    ($type:ident, $what:expr, $hint:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;

                impl de::Visitor<'_> for Visitor {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "{}: {}", $what, $hint)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                        text.parse().map_err(E::custom)
                    }

                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                        Err(E::custom(bare(number, $what, $hint)))
                    }

                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                        Err(E::custom(bare(number, $what, $hint)))
                    }

                    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
                        Err(E::custom(bare(number, $what, $hint)))
                    }
                }

                deserializer.deserialize_any(Visitor)
            }
        }
    };
}
pub(crate) use text_form;

pub(crate) fn bare(number: impl fmt::Display, what: &str, hint: &str) -> UnitError {
    UnitError::new(format!("{number} has no unit; {what} needs one: {hint}"))
}

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
                "{unit:?} is no unit of {PERCENT}: {PERCENT_HINT}"
            )));
        }
        match number.times(Self::WHOLE / 100) {
            Some(parts) if parts <= Self::WHOLE => Ok(Self { parts }),
            _ => Err(UnitError::new(format!(
                "{text:?} is more than everything: expected 0% to 100%"
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

/// A number of bytes: `"64MiB"`, `"1500B"`. `kB` is 1000 bytes and `KiB` 1024 (IEC 80000-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(pub u64);

const SIZE: &str = "a size";
const SIZE_HINT: &str = "write \"256KiB\" (B, kB, MB, GB, KiB, MiB, GiB)";
pub(crate) const SIZE_UNITS: [(&str, u64); 8] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];
/// An exbibyte.
const SIZE_MAX: u64 = 1 << 60;

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        in_units(text, SIZE, SIZE_HINT, &SIZE_UNITS, SIZE_MAX).map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_in_units(
            f,
            self.0,
            &[
                ("B", 1),
                ("kB", 1_000),
                ("MB", 1_000_000),
                ("GB", 1_000_000_000),
                ("KiB", 1 << 10),
                ("MiB", 1 << 20),
                ("GiB", 1 << 30),
            ],
        )
    }
}

text_form!(Size, SIZE, SIZE_HINT);
