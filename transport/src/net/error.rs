//! What can go wrong, one small enum an operation.

use std::io;
use std::net::SocketAddr;

use crate::crypto::PublicKey;
use crate::proto::{ConnectionError, Refusal};

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on UDP {addr}: {source}")]
pub struct BindError {
    /// The address asked for.
    pub addr: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// Why no further connection can be accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(io::Error),
}

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No answer came.
    #[error("no answer from the peer")]
    TimedOut,
    /// The peer answered with a refusal.
    #[error("the peer refused the connection: {0}")]
    Refused(Refusal),
    /// The peer's key is not one that this side accepts.
    #[error("the peer's key is not accepted: {key}")]
    UntrustedPeer {
        /// The key that the peer has proved to hold.
        key: PublicKey,
    },
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(#[from] io::Error),
}

/// Why nothing more can be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The peer ended the connection in the middle.
    #[error("the peer reset the connection (reason {reason})")]
    Reset {
        /// What the peer gave as its reason.
        reason: u32,
    },
    /// The server was started anew, and does not know the connection.
    #[error("the server no longer knows the connection")]
    Lost,
    /// The peer refused the connection after all.
    #[error("the peer refused the connection: {0}")]
    Refused(Refusal),
    /// Nothing was heard from the peer for the length of the idle timeout.
    #[error("nothing was heard from the peer for too long")]
    TimedOut,
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(&'static str),
    /// The stream was reset on this side.
    #[error("the stream was closed on this side")]
    Closed,
    /// The peer's FIN came before the bytes that were asked for.
    #[error("the peer's stream ended too soon")]
    UnexpectedEnd,
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(#[from] io::Error),
}

/// Why nothing more can be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The peer ended the connection in the middle.
    #[error("the peer reset the connection (reason {reason})")]
    Reset {
        /// What the peer gave as its reason.
        reason: u32,
    },
    /// The server was started anew, and does not know the connection.
    #[error("the server no longer knows the connection")]
    Lost,
    /// The peer refused the connection after all.
    #[error("the peer refused the connection: {0}")]
    Refused(Refusal),
    /// Nothing was heard from the peer for the length of the idle timeout.
    #[error("nothing was heard from the peer for too long")]
    TimedOut,
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(&'static str),
    /// The stream was reset or finished on this side.
    #[error("the stream was closed on this side")]
    Closed,
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(#[from] io::Error),
}

/// Why a connection is over: the state machine's word, or the socket's.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Connection(ConnectionError),
    Socket(io::ErrorKind),
}

impl From<Failure> for ConnectError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Connection(ConnectionError::Refused(refusal)) => Self::Refused(refusal),
            Failure::Connection(ConnectionError::UntrustedPeer { key }) => {
                Self::UntrustedPeer { key }
            }
            Failure::Connection(_) => Self::TimedOut,
            Failure::Socket(kind) => Self::Io(kind.into()),
        }
    }
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Connection(ConnectionError::Reset { reason }) => Self::Reset { reason },
            Failure::Connection(ConnectionError::Refused(refusal)) => Self::Refused(refusal),
            Failure::Connection(ConnectionError::TimedOut) => Self::TimedOut,
            Failure::Connection(ConnectionError::Lost) => Self::Lost,
            Failure::Connection(ConnectionError::Protocol(what)) => Self::Protocol(what),
            Failure::Connection(_) => Self::Closed,
            Failure::Socket(kind) => Self::Io(kind.into()),
        }
    }
}

impl From<Failure> for WriteError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Connection(ConnectionError::Reset { reason }) => Self::Reset { reason },
            Failure::Connection(ConnectionError::Refused(refusal)) => Self::Refused(refusal),
            Failure::Connection(ConnectionError::TimedOut) => Self::TimedOut,
            Failure::Connection(ConnectionError::Lost) => Self::Lost,
            Failure::Connection(ConnectionError::Protocol(what)) => Self::Protocol(what),
            Failure::Connection(_) => Self::Closed,
            Failure::Socket(kind) => Self::Io(kind.into()),
        }
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match &error {
            ReadError::Reset { .. } | ReadError::Lost => io::ErrorKind::ConnectionReset,
            ReadError::Refused(_) => io::ErrorKind::ConnectionRefused,
            ReadError::TimedOut => io::ErrorKind::TimedOut,
            ReadError::Protocol(_) => io::ErrorKind::InvalidData,
            ReadError::Closed => io::ErrorKind::NotConnected,
            ReadError::UnexpectedEnd => io::ErrorKind::UnexpectedEof,
            ReadError::Io(error) => error.kind(),
        };
        Self::new(kind, error)
    }
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        let kind = match &error {
            WriteError::Reset { .. } | WriteError::Lost => io::ErrorKind::ConnectionReset,
            WriteError::Refused(_) => io::ErrorKind::ConnectionRefused,
            WriteError::TimedOut => io::ErrorKind::TimedOut,
            WriteError::Protocol(_) => io::ErrorKind::InvalidData,
            WriteError::Closed => io::ErrorKind::BrokenPipe,
            WriteError::Io(error) => error.kind(),
        };
        Self::new(kind, error)
    }
}
