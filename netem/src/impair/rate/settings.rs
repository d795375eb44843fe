//! The settings of the bottleneck except its rate, in base units.

use super::{framing::Framing, mahimahi::MahimahiTrace};
use crate::units::Rate;

/// Settings of a direction's bottleneck; its rate is in the schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShaperSettings {
    /// Bytes the link adds to each packet.
    pub framing: Framing,
    /// Size of the token bucket; `None` sends packets one by one.
    pub burst_bytes: Option<u64>,
    /// Rate at which a burst is sent; `None` is unlimited.
    pub peak_rate: Option<Rate>,
    /// Trace of the times at which the link can send, instead of a rate.
    pub mahimahi: Option<MahimahiTrace>,
}
