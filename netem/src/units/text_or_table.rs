//! Values that a scenario writes as a text, as a table, or as either: one visitor for all of them.

use std::{fmt, marker::PhantomData};

use serde::{Deserialize, de, de::value::MapAccessDeserializer};

/// A number where none was expected.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    Integer(i128),
    Float(f64),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
        }
    }
}

/// A value written as a text, its name or its short form, or as a table with all that it needs.
pub(crate) trait TextOrTable: Sized {
    /// The table as it is written.
    type Table: for<'de> Deserialize<'de>;

    /// Returns what is expected, with an example, to follow "expected" in an error.
    fn expecting() -> String;

    /// Returns the value of this text.
    fn from_text<E: de::Error>(text: &str) -> Result<Self, E>;

    /// Returns the value of this table.
    fn from_table<E: de::Error>(table: Self::Table) -> Result<Self, E>;

    /// Returns the error for a number, by default that of any value of a wrong type.
    fn from_number<E: de::Error>(number: Number) -> Result<Self, E> {
        let found = match number {
            Number::Integer(number) => de::Unexpected::Signed(number as i64),
            Number::Float(number) => de::Unexpected::Float(number),
        };
        Err(E::invalid_type(found, &Self::expecting().as_str()))
    }
}

/// Reads a [`TextOrTable`]; errors keep their place in the file.
pub(crate) struct TextOrTableVisitor<T>(PhantomData<T>);

impl<T> TextOrTableVisitor<T> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: TextOrTable> de::Visitor<'de> for TextOrTableVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&T::expecting())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        T::from_number(Number::Integer(number.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        T::from_number(Number::Integer(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        T::from_number(Number::Float(number))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::from_table(T::Table::deserialize(MapAccessDeserializer::new(map))?)
    }
}
