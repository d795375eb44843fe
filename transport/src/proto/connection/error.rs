//! The errors of a connection.

use std::fmt;

use crate::crypto::PublicKey;

/// The reason for which a connection failed, or was never established.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer did not answer for the idle timeout, or never answered the handshake.
    #[error("no answer from the peer")]
    TimedOut,
    /// The server has lost the connection's state: it was restarted (stateless reset, RFC 9000
    /// §10.3).
    #[error("the server no longer knows the connection")]
    StatelessReset,
    /// The peer reset the connection.
    #[error("the peer reset the connection (reason {reason})")]
    Reset {
        /// The peer's application error code.
        reason: u32,
    },
    /// The peer did not accept the connection.
    #[error("the peer refused the connection: {0}")]
    Refused(Refusal),
    /// This side does not accept the peer's key.
    #[error("the peer's key is not accepted: {key}")]
    UntrustedPeer {
        /// The key, of which the peer has proved possession.
        key: PublicKey,
    },
    /// The peer violated the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(&'static str),
    /// This side ended the connection.
    #[error("the connection was closed on this side")]
    Closed,
    /// This side ended the connection to make room for others: it held memory for long and made
    /// no progress, or its network had more connections than its share.
    #[error("the connection was ended on this side to make room for others")]
    Evicted,
}

/// The reason for which a server refuses a connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No listener at that address.
    NotListening,
    /// The listener has reached [`Config::listen_limit`](crate::Config::listen_limit).
    ListenLimit,
    /// The client's address has reached
    /// [`Config::address_limit`](crate::Config::address_limit).
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
            Self::NotListening => f.write_str("no listener there"),
            Self::ListenLimit => f.write_str("too many connections at once"),
            Self::AddressLimit => f.write_str("too many connections from one address"),
            Self::UntrustedKey => f.write_str("this side's key is not accepted there"),
            Self::Other(reason) => write!(f, "reason {reason}"),
        }
    }
}
