//! The bottleneck's rate: when a packet has left the queue.

mod bottleneck;
mod delivery_opportunities;
mod framing;
mod mahimahi;
mod model;
mod settings;
mod token_bucket;

pub(crate) use self::model::Shaper;
pub use self::{framing::Framing, mahimahi::MahimahiTrace, settings::ShaperSettings};
