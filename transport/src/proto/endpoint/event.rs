//! What an endpoint tells its caller: events and datagrams to send.

use std::net::SocketAddr;

use super::ConnectionId;
use crate::Ecn;

/// Events of connections, for the application.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A client has connected.
    Accepted(ConnectionId),
    /// This client's handshake is complete.
    Established(ConnectionId),
    /// Bytes can be read, or the peer's FIN has arrived.
    Readable(ConnectionId),
    /// The send buffer may have room again.
    Writable(ConnectionId),
    /// Every byte written and the FIN are acknowledged.
    Finished(ConnectionId),
    /// The connection has ended; [`Endpoint::error`](super::Endpoint::error) gives the reason.
    Closed(ConnectionId),
}

/// Datagrams to send: all of `segment_bytes`, but for the last.
#[derive(Copy, Clone, Debug)]
pub struct Outgoing {
    /// The address to send them to.
    pub destination: SocketAddr,
    /// The size of each datagram but the last.
    pub segment_bytes: usize,
    /// The ECN mark.
    pub ecn: Option<Ecn>,
}
