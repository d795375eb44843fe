//! One small error per operation; a connection that is over is one [`ConnectionError`] in all of
//! them.

use std::io;
use std::net::SocketAddr;

use crate::proto::ConnectionError;

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on UDP {addr}: {source}")]
pub struct BindError {
    /// The requested address.
    pub addr: SocketAddr,
    /// The runtime's answer.
    pub source: io::Error,
}

/// A listener that will not accept any further connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(io::Error),
}

/// A connection that could not be established.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The handshake failed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The socket could not be opened, or failed.
    #[error("the socket failed: {0}")]
    Io(#[from] io::Error),
}

/// A stream from which nothing more can be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The connection is over.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The peer's FIN came before the requested bytes.
    #[error("the peer's stream ended too soon")]
    UnexpectedEnd,
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(#[from] io::Error),
}

/// A stream to which nothing more can be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The connection is over.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// This side has finished the stream.
    #[error("the stream is finished on this side")]
    Finished,
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(#[from] io::Error),
}

/// The end of a connection, as the state machine or the socket reports it.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Connection(ConnectionError),
    Socket(io::ErrorKind),
}

macro_rules! from_failure {
    ($($error:ident),*) => {
        $(impl From<Failure> for $error {
            fn from(failure: Failure) -> Self {
                match failure {
                    Failure::Connection(error) => Self::Connection(error),
                    Failure::Socket(kind) => Self::Io(kind.into()),
                }
            }
        })*
    };
}

from_failure!(ConnectError, ReadError, WriteError);

/// `closed` is the kind for an end that this side brought about: [`io::ErrorKind`] has a different
/// one for each direction.
const fn kind_of(error: &ConnectionError, closed: io::ErrorKind) -> io::ErrorKind {
    match error {
        ConnectionError::Reset { .. } | ConnectionError::StatelessReset => {
            io::ErrorKind::ConnectionReset
        }
        ConnectionError::Refused(_) => io::ErrorKind::ConnectionRefused,
        ConnectionError::TimedOut => io::ErrorKind::TimedOut,
        ConnectionError::Protocol(_) => io::ErrorKind::InvalidData,
        ConnectionError::UntrustedPeer { .. }
        | ConnectionError::Closed
        | ConnectionError::Evicted => closed,
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match &error {
            ReadError::Connection(error) => kind_of(error, io::ErrorKind::NotConnected),
            ReadError::UnexpectedEnd => io::ErrorKind::UnexpectedEof,
            ReadError::Io(error) => error.kind(),
        };
        Self::new(kind, error)
    }
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        let kind = match &error {
            WriteError::Connection(error) => kind_of(error, io::ErrorKind::BrokenPipe),
            WriteError::Finished => io::ErrorKind::BrokenPipe,
            WriteError::Io(error) => error.kind(),
        };
        Self::new(kind, error)
    }
}
