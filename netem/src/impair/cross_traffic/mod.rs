//! Cross traffic: packets of others in the same queue.

mod model;
mod settings;

pub(crate) use self::model::CrossTrafficSource;
pub use self::settings::{CrossTraffic, Spacing};
