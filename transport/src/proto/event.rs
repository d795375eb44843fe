//! What an endpoint tells its caller: events, datagrams to send, refusals.

use std::fmt;
use std::net::SocketAddr;

use super::endpoint::ConnectionId;
use crate::Ecn;

/// Why a server does not accept a connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Nobody listens there.
    NotListening,
    /// The listener has as many connections as it takes.
    ListenLimit,
    /// The client's address has as many connections as one may have.
    AddressLimit,
    /// The server does not accept the client's key.
    UntrustedKey,
    /// A reason that this version does not know.
    Other(u64),
}

impl Refusal {
    pub(crate) const fn from_wire(reason: u64) -> Self {
        match reason {
            1 => Self::NotListening,
            2 => Self::ListenLimit,
            3 => Self::AddressLimit,
            4 => Self::UntrustedKey,
            other => Self::Other(other),
        }
    }

    pub(crate) const fn to_wire(self) -> u64 {
        match self {
            Self::NotListening => 1,
            Self::ListenLimit => 2,
            Self::AddressLimit => 3,
            Self::UntrustedKey => 4,
            Self::Other(other) => other,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotListening => f.write_str("nobody listens there"),
            Self::ListenLimit => f.write_str("too many connections at once"),
            Self::AddressLimit => f.write_str("too many connections from one address"),
            Self::UntrustedKey => f.write_str("this side's key is not accepted there"),
            Self::Other(reason) => write!(f, "reason {reason}"),
        }
    }
}

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
