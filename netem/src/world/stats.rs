//! Counts of what a world has done.

/// Counts since the world began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WorldStats {
    /// Packets that entered a link.
    pub link_entries: u64,
    /// Packets that came out of a link, copies made by the link included.
    pub link_exits: u64,
    /// Packets between hosts of one side.
    pub local_packets: u64,
    /// Datagrams put into a socket's receive queue.
    pub delivered: u64,
    /// Datagrams that found no host or no socket at their destination.
    pub dropped_unclaimed: u64,
    /// Datagrams that found a full receive queue.
    pub dropped_queue_full: u64,
    /// Times a task, or the future of `block_on`, was polled.
    pub polls: u64,
    /// Timers that reached their deadline while a task waited for them.
    pub timers_fired: u64,
}

impl WorldStats {
    /// Packet events: each entry into a link, each exit from one, each local packet.
    pub const fn packet_events(&self) -> u64 {
        self.link_entries + self.link_exits + self.local_packets
    }
}
