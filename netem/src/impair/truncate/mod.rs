//! Truncation: a payload that loses its end. Keys: see the table in [`impair`](super).

mod model;

pub(crate) use self::model::Truncate;
