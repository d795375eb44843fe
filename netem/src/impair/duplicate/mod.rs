//! Duplication: a packet that arrives twice. Keys: see the table in [`impair`](super).

mod model;

pub(crate) use self::model::Duplicate;
