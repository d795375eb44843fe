//! DualPI2 (RFC 9332).

mod model;
mod settings;

pub(super) use self::model::DualPi2;
pub use self::settings::DualPi2Settings;
