//! Counts of the state that an endpoint holds.

/// The state that an endpoint holds for its peers, and the datagrams it has dropped.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointMetrics {
    /// Connections, including those that are closing.
    pub connections: usize,
    /// Half-open handshakes of the listener.
    pub half_open: usize,
    /// Memory that accepted connections hold for their peers, bytes: what is bounded by
    /// [`Config::memory_limit_bytes`](crate::Config::memory_limit_bytes).
    pub charged_bytes: u64,
    /// Queued replies to unvalidated addresses.
    pub replies: usize,
    /// Datagrams that were damaged, forged, or belonged to no connection, since the endpoint was
    /// created.
    pub dropped_datagrams: u64,
}

impl std::ops::Add for EndpointMetrics {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            half_open: self.half_open + other.half_open,
            charged_bytes: self.charged_bytes + other.charged_bytes,
            replies: self.replies + other.replies,
            dropped_datagrams: self.dropped_datagrams + other.dropped_datagrams,
        }
    }
}

impl std::iter::Sum for EndpointMetrics {
    fn sum<I: Iterator<Item = Self>>(metrics: I) -> Self {
        metrics.fold(Self::default(), std::ops::Add::add)
    }
}
