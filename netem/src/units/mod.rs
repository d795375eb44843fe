//! Quantities as a scenario writes them: always with their unit, always exact.
//!
//! Each is a string of a decimal number and a unit, `"20ms"` or `"1.5 mbit"`. A bare number is
//! refused with the units that fit, since guessing is how a 1 % loss becomes 100 %.
//!
//! The lowest module of the crate's settings: it relies on `rng` alone, for the threshold of a
//! share. A new quantity is a file here with `text_form!`.

mod decimal;
mod duration;
mod frequency;
mod percent;
mod rate;
mod signed_size;
mod size;
mod text_or_table;

use std::fmt;

pub(crate) use self::{
    decimal::split,
    text_or_table::{Number, TextOrTable, TextOrTableVisitor},
};
pub use self::{
    duration::DurationNs, frequency::Frequency, percent::Percent, rate::Rate,
    signed_size::SignedSize, size::Size,
};

/// A quantity that cannot be parsed: a message that says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);

impl UnitError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Implements serde for a quantity that is always written as a text, by its `FromStr` and `Display`.
macro_rules! text_form {
    ($type:ident, $what:expr, $hint:expr) => {
        impl ::serde::Serialize for $type {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                deserializer.deserialize_any($crate::units::TextOrTableVisitor::new())
            }
        }

        impl $crate::units::TextOrTable for $type {
            type Table = ::serde::de::IgnoredAny;

            fn expecting() -> String {
                format!("{}: {}", $what, $hint)
            }

            fn from_text<E: ::serde::de::Error>(text: &str) -> Result<Self, E> {
                text.parse().map_err(E::custom)
            }

            fn from_table<E: ::serde::de::Error>(_table: Self::Table) -> Result<Self, E> {
                let found = ::serde::de::Unexpected::Map;
                Err(E::invalid_type(found, &Self::expecting().as_str()))
            }

            fn from_number<E: ::serde::de::Error>(
                number: $crate::units::Number,
            ) -> Result<Self, E> {
                Err(E::custom($crate::units::bare(number, $what, $hint)))
            }
        }
    };
}
pub(crate) use text_form;

/// Returns the error for a number without a unit.
pub(crate) fn bare(number: impl fmt::Display, what: &str, hint: &str) -> UnitError {
    UnitError::new(format!("{number} has no unit; {what} needs one: {hint}"))
}
