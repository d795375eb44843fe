//! Corruption: a flipped bit. Keys: see the table in [`impair`](super).

mod model;

pub(crate) use self::model::Corrupt;
