//! The way through the wire: fixed delay, and what varies it or changes the order.

mod delay_line;
mod model;
mod settings;

pub(crate) use self::model::Delay;
pub use self::settings::DelaySettings;
