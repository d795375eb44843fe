//! Slots: the wire takes packets in batches, as Wi-Fi and DOCSIS do.

mod model;
mod settings;

pub(crate) use self::model::SlotClock;
pub use self::settings::Slots;
