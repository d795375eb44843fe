//! PIE (RFC 8033).

mod model;
mod settings;

pub(super) use self::model::Pie;
pub use self::settings::PieSettings;
