//! What an endpoint tells its caller: events and datagrams to send.

use std::net::SocketAddr;

use super::ConnectionId;
use crate::Ecn;

/// What the application should hear of.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A client has connected.
    Accepted(ConnectionId),
    /// This client's handshake is complete.
    Established(ConnectionId),
    /// There are bytes to read, or the peer's FIN.
    Readable(ConnectionId),
    /// The send buffer may have room again.
    Writable(ConnectionId),
    /// Every byte written and the FIN are acknowledged.
    Finished(ConnectionId),
    /// The connection is over; [`Endpoint::error`](super::Endpoint::error) says why.
    Closed(ConnectionId),
}

/// Datagrams to send: all of `segment_bytes`, but for the last.
#[derive(Copy, Clone, Debug)]
pub struct Outgoing {
    /// Where to.
    pub destination: SocketAddr,
    /// The size of each datagram but the last.
    pub segment_bytes: usize,
    /// The ECN mark.
    pub ecn: Option<Ecn>,
}
