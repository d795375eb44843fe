//! Counts of what happened on a link.

use std::collections::BTreeMap;

use serde::Serialize;

/// Counts of what happened on a link so far.
///
/// `packets_in + duplicated` is at all times `delivered + lost() + inside()`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counters {
    /// Packets that arrived.
    pub packets_in: u64,
    /// Their bytes on the link, headers included.
    pub bytes_in: u64,
    /// Packets that came out, copies included.
    pub delivered: u64,
    /// Their bytes on the link.
    pub bytes_delivered: u64,
    /// Packets lost on the wire, independently.
    pub lost_wire: u64,
    /// Packets lost on the wire in a burst.
    pub lost_burst: u64,
    /// Packets dropped by a full queue.
    pub queue_drops: u64,
    /// Packets dropped by the queue's discipline before it was full.
    pub early_drops: u64,
    /// Packets dropped for being larger than the MTU.
    pub mtu_drops: u64,
    /// Packets lost in a blackout.
    pub blackout_drops: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Packets, copies included, in which a bit was flipped.
    pub corrupted: u64,
    /// Packets, copies included, that lost their end.
    pub truncated: u64,
    /// Packets that came out after one that had arrived later (RFC 4737 §3.3).
    pub reordered: u64,
    /// Packets marked "congestion experienced".
    pub ce_marked: u64,
    /// Packets of cross traffic that went through the bottleneck. They are in no other count.
    pub cross_sent: u64,
    /// Packets of cross traffic that the queue dropped.
    pub cross_drops: u64,
    /// The most bytes that ever waited in the queue.
    pub peak_queue_bytes: u64,
    /// Packets, copies included, changed by an impairment that has no count of its own above, by
    /// the impairment's name.
    #[serde(flatten)]
    pub changed: BTreeMap<&'static str, u64>,
}

impl Counters {
    /// Returns the packets that will never come out, for any reason.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost_wire
            + self.lost_burst
            + self.queue_drops
            + self.early_drops
            + self.mtu_drops
            + self.blackout_drops
    }

    /// Returns the packets still on the link, copies included.
    #[must_use]
    pub const fn inside(&self) -> u64 {
        self.packets_in + self.duplicated - self.delivered - self.lost()
    }
}
