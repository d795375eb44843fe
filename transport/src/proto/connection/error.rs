//! Why a connection ends before its end, or never begins.

use std::fmt;

use crate::crypto::PublicKey;

/// Why a connection is over before its end.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// Nothing was heard from the peer for too long.
    #[error("nothing was heard from the peer for too long")]
    TimedOut,
    /// The server has lost the connection: it was started anew (RFC 9000 §10.3).
    #[error("the server no longer knows the connection")]
    Lost,
    /// The peer ended the connection.
    #[error("the peer reset the connection (reason {reason})")]
    Reset {
        /// What the peer gave as its reason.
        reason: u32,
    },
    /// The peer did not accept the connection.
    #[error("the peer refused the connection ({0})")]
    Refused(Refusal),
    /// The peer's key is not one that this side accepts.
    #[error("the peer's key is not accepted: {key}")]
    UntrustedPeer {
        /// The key that the peer has proved to hold.
        key: PublicKey,
    },
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(&'static str),
    /// This side ended the connection.
    #[error("the connection was closed on this side")]
    Closed,
}

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
