//! A packet inside the link.

use crate::{Time, packet::Packet};

/// A packet inside the link, with what its record will say. It stays in its box from one
/// impairment to the next: moving it would cost more than all they do.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    pub(crate) packet: Packet,
    /// Time of its arrival at the link.
    pub(crate) arrived_at: Time,
    /// Position among the packets of this direction; a copy has its original's.
    pub(crate) index: u64,
    pub(crate) link_bytes: u64,
    /// Bytes it found in the queue.
    pub(crate) queue_bytes: u64,
    pub(crate) duplicate: bool,
    /// Set on cross traffic, which only takes room in the queue and time of the bottleneck.
    pub(crate) cross: bool,
    pub(crate) corrupted: bool,
    pub(crate) ce_marked: bool,
}

impl InFlight {
    /// Returns a copy, as the link makes it.
    pub(crate) fn copy(&self) -> Box<Self> {
        Box::new(Self {
            duplicate: true,
            ..self.clone()
        })
    }

    /// Flips a bit of the payload; returns `false` if the payload has no such bit.
    pub(crate) fn flip(&mut self, bit: u64) -> bool {
        let Some(byte) = self.packet.payload.get_mut((bit / 8) as usize) else {
            return false;
        };
        *byte ^= 1 << (bit % 8);
        self.corrupted = true;
        true
    }

    /// Marks the packet "congestion experienced" (RFC 3168 §5); returns `false` if it is not ECN-capable.
    pub(crate) const fn mark(&mut self) -> bool {
        if !self.packet.is_ect() {
            return false;
        }
        self.packet.mark_ce();
        self.ce_marked = true;
        true
    }

    /// Cuts the payload to this many bytes; returns `false` if it has no more than that.
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
