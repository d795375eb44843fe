//! Framing: the bytes a link adds to each packet.

/// Bytes on the wire beyond those of the IP packet, with the meaning of `tc netem`'s
/// `rate RATE PACKETOVERHEAD CELLSIZE CELLOVERHEAD`. Only the rate counts it, not the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Framing {
    /// Bytes added to each packet; below 0 they are taken from it, at most all of them.
    pub overhead_bytes: i64,
    /// Size of the cells that packets are sent in, the last one filled up; 0 sends them whole.
    pub cell_bytes: u64,
    /// Bytes added to each cell.
    pub cell_overhead_bytes: u64,
}

impl Framing {
    /// Returns the bytes that an IP packet of `link_bytes` takes on the wire.
    #[must_use]
    pub const fn wire_bytes(&self, link_bytes: u64) -> u64 {
        let bytes = link_bytes.saturating_add_signed(self.overhead_bytes);
        if self.cell_bytes == 0 {
            return bytes;
        }
        // The last cell is filled up, as ATM does.
        bytes.div_ceil(self.cell_bytes) * (self.cell_bytes + self.cell_overhead_bytes)
    }
}
