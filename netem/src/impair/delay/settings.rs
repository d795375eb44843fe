//! The settings of the delay except its fixed part, in base units.

use crate::impair::{jitter::Jitter, reorder::Reorder, slots::Slots};

/// Settings of a direction's delay; the fixed part is in the schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DelaySettings {
    /// Variation of the delay.
    pub jitter: Option<Jitter>,
    /// Set if packets keep their order, except those that `reorder` holds back.
    pub in_order: bool,
    /// Batches in which the wire takes packets.
    pub slots: Option<Slots>,
    /// Packets held back, or sent ahead.
    pub reorder: Option<Reorder>,
}
