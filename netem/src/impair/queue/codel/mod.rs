//! CoDel (RFC 8289).

mod model;
mod settings;

pub(super) use self::model::CoDel;
pub use self::settings::CoDelSettings;
