//! The impairments, one a file; each a small state machine that is told what it needs to know.
//!
//! [`Link`](crate::link::Link) strings them together and says in which order. A stage draws only
//! from [`Draws`](crate::rng::Draws) under its own name, so it can be added, switched on or
//! left out without a change to what the others do.

pub(crate) mod bucket;
pub(crate) mod chance;
pub(crate) mod corrupt;
pub(crate) mod cross_traffic;
pub(crate) mod delay;
pub(crate) mod duplicate;
pub(crate) mod jitter;
pub(crate) mod line;
pub(crate) mod loss;
pub(crate) mod normal;
pub(crate) mod opportunities;
pub(crate) mod queue;
pub(crate) mod rate;
pub(crate) mod reorder;
pub(crate) mod schedule;
pub(crate) mod shaper;
pub(crate) mod slots;
pub(crate) mod truncate;

use crate::{Time, packet::Packet};

/// A packet inside the link, with what its record will say. It stays in its box from stage to
/// stage: moving it would cost more than all they do.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    pub(crate) packet: Packet,
    /// When it entered the link.
    pub(crate) entered: Time,
    /// The how-manyeth it was; a copy has its original's.
    pub(crate) index: u64,
    pub(crate) link_bytes: u64,
    /// What it found in the queue.
    pub(crate) queue_bytes: u64,
    pub(crate) duplicate: bool,
    /// Nobody's: it only takes place in the queue.
    pub(crate) cross: bool,
    pub(crate) corrupted: bool,
    pub(crate) ce_marked: bool,
}

impl InFlight {
    /// A copy, as the link makes it.
    pub(crate) fn copy(&self) -> Box<Self> {
        Box::new(Self {
            duplicate: true,
            ..self.clone()
        })
    }

    /// Flips a bit of the payload, if it is there; says whether.
    pub(crate) fn flip(&mut self, bit: u64) -> bool {
        let Some(byte) = self.packet.payload.get_mut((bit / 8) as usize) else {
            return false;
        };
        *byte ^= 1 << (bit % 8);
        self.corrupted = true;
        true
    }

    /// Marks the packet "congestion experienced" if it can be (RFC 3168 §5); says whether.
    pub(crate) const fn mark(&mut self) -> bool {
        if !self.packet.is_ect() {
            return false;
        }
        self.packet.mark_ce();
        self.ce_marked = true;
        true
    }

    /// Cuts the payload to so many bytes, if it has more; says whether.
    pub(crate) fn cut(&mut self, payload_bytes: u64) -> bool {
        let longer = self.packet.payload.len() as u64 > payload_bytes;
        if longer {
            self.packet.payload.truncate(payload_bytes as usize);
            self.link_bytes = self.packet.link_bytes();
            self.corrupted = true;
        }
        longer
    }
}
