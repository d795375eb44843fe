//! Reordering: packets held back, or sent ahead.

mod model;
mod settings;

pub(crate) use self::model::{Place, Reordering};
pub use self::settings::Reorder;
