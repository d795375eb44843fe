//! Errors of the client, one enum for each operation.

use std::net::SocketAddr;

use lftp_transport::{ConnectError, PublicKey};

use crate::protocol::Code;
use crate::protocol::Refusal;
use crate::protocol::channel::ChannelError;
use crate::store::StoreError;

fn not_admitted(key: &PublicKey) -> String {
    format!(
        "the server does not know this client's key; to admit it, its administrator adds the line \
         \"read,write {key}\" to the server's authorized keys"
    )
}

/// A failure to connect to the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The transport failed to connect.
    #[error("no connection to {addr}: {source}")]
    Connect {
        /// The address.
        addr: SocketAddr,
        /// The cause.
        source: ConnectError,
    },
    /// The connection was lost immediately.
    #[error("no connection to {addr}: {error}")]
    Lost {
        /// The address.
        addr: SocketAddr,
        /// The cause.
        error: ChannelError,
    },
    /// The server does not admit this client.
    #[error("{}", not_admitted(key))]
    NotAdmitted {
        /// This client's key.
        key: PublicKey,
    },
    /// The handshake took too long.
    #[error("no connection to {addr}: no answer in time")]
    TimedOut {
        /// The address.
        addr: SocketAddr,
    },
}

/// A request without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The server refuses the request.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The control connection is lost.
    #[error("the control connection is lost: {0}")]
    Lost(#[from] ChannelError),
    /// The server does not admit this client.
    #[error("{}", not_admitted(key))]
    NotAdmitted {
        /// This client's key.
        key: PublicKey,
    },
    /// The server sent a reply that does not fit the request.
    #[error("the server's reply is not valid: {0}")]
    UnexpectedReply(&'static str),
}

/// A transfer that failed. No new file has the target's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The server did not grant the transfer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The data connection could not be opened.
    #[error("cannot open the data connection: {0}")]
    Open(#[from] OpenError),
    /// The data connection was lost.
    #[error("the transfer was interrupted: {0}")]
    Lost(#[from] ChannelError),
    /// The local file cannot be read or written.
    #[error("local file: {0}")]
    Store(#[from] StoreError),
    /// The local file changed while it was sent.
    #[error("the local file changed while it was sent; nothing was stored")]
    SourceChanged,
    /// The server received the file but did not store it.
    #[error("the server did not store the file: {0}")]
    Rejected(Refusal),
    /// The hash of the received data differs from that of the sent data.
    #[error("the received data differs from the sent data; the file was discarded")]
    Integrity,
}

impl TransferError {
    /// Returns the code with which the data connection is reset.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Lost(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::SourceChanged => Code::SourceChanged,
            Self::Rejected(refusal) => refusal.code,
            Self::Integrity => Code::Integrity,
            // There is no data connection to reset.
            Self::Request(_) | Self::Open(_) => Code::Unknown,
        }
    }

    /// Returns true if the source changed while it was read, on either side: another attempt may
    /// find it at rest.
    pub const fn is_source_changed(&self) -> bool {
        matches!(
            self,
            Self::SourceChanged | Self::Lost(ChannelError::GaveUp(Code::SourceChanged))
        )
    }

    /// Returns true if the same transfer may succeed on a new connection: the network failed, or
    /// the server was busy.
    pub const fn is_temporary(&self) -> bool {
        match self {
            // Also a refused or untrusted data port: it may be another process's by now, and the
            // server grants a new one.
            Self::Open(_) => true,
            Self::Request(RequestError::Lost(error)) | Self::Lost(error) => {
                is_temporary_error(error)
            }
            Self::Request(RequestError::Refused(refusal)) => is_temporary_code(refusal.code),
            Self::Request(RequestError::UnexpectedReply(_) | RequestError::NotAdmitted { .. })
            | Self::Store(_)
            | Self::SourceChanged
            | Self::Rejected(_)
            | Self::Integrity => false,
        }
    }
}

const fn is_temporary_error(error: &ChannelError) -> bool {
    match error {
        ChannelError::GaveUp(code) => is_temporary_code(*code),
        ChannelError::WentAway
        | ChannelError::Refused(_)
        | ChannelError::Silent
        | ChannelError::Stalled
        | ChannelError::Transport(_) => true,
        ChannelError::Protocol(_)
        | ChannelError::Violation(_)
        | ChannelError::Accused
        | ChannelError::NotAdmitted => false,
    }
}

const fn is_temporary_code(code: Code) -> bool {
    matches!(
        code,
        Code::Busy
            | Code::BadToken
            | Code::Stalled
            | Code::TooSlow
            | Code::ShuttingDown
            | Code::Unknown
    )
}
