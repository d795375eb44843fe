//! FlowQueue-CoDel (RFC 8290).

mod model;
mod settings;

pub(super) use self::model::FqCoDel;
pub use self::settings::FqCoDelSettings;
