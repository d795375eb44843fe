//! What an endpoint holds, counted.

/// How much an endpoint holds for its peers, and what it has thrown away.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// Connections, also those that only linger.
    pub connections: usize,
    /// Handshakes under way on the listening side.
    pub half_open: usize,
    /// Replies to strangers that wait to be sent.
    pub replies: usize,
    /// Datagrams that were damaged, forged, or belonged to nobody, since the beginning.
    pub dropped_datagrams: u64,
}

impl std::ops::Add for Load {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            half_open: self.half_open + other.half_open,
            replies: self.replies + other.replies,
            dropped_datagrams: self.dropped_datagrams + other.dropped_datagrams,
        }
    }
}

impl std::iter::Sum for Load {
    fn sum<I: Iterator<Item = Self>>(loads: I) -> Self {
        loads.fold(Self::default(), std::ops::Add::add)
    }
}
