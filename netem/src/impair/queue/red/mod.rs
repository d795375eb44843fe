//! Random early detection (Floyd and Jacobson 1993).

mod model;
mod settings;

pub(super) use self::model::RedQueue;
pub use self::settings::{Red, RedSettings};
