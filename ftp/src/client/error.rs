//! What can go wrong for a client, one small enum an operation.

use std::net::SocketAddr;

use lftp_transport::{ConnectError, PublicKey};

use crate::protocol::Code;
use crate::protocol::Refusal;
use crate::protocol::channel::ChannelError;
use crate::store::StoreError;

fn not_admitted(key: &PublicKey) -> String {
    format!(
        "the server does not know this client's key; its administrator lets it in with the line \
         \"read,write {key}\" in the server's authorized keys"
    )
}

/// Why there is no connection to the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It could not be made.
    #[error("no connection to {addr}: {source}")]
    Connect {
        /// Where to.
        addr: SocketAddr,
        /// What happened.
        source: ConnectError,
    },
    /// It was lost as soon as it was made.
    #[error("no connection to {addr}: {error}")]
    Lost {
        /// Where to.
        addr: SocketAddr,
        /// What happened.
        error: ChannelError,
    },
    /// The server does not let this client in.
    #[error("{}", not_admitted(key))]
    NotAdmitted {
        /// This client's key.
        key: PublicKey,
    },
    /// Nobody answered in time.
    #[error("no connection to {addr}: no answer in time")]
    TimedOut {
        /// Where to.
        addr: SocketAddr,
    },
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The server refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The control connection is of no more use.
    #[error("the control connection is lost: {0}")]
    Lost(#[from] ChannelError),
    /// The server does not let this client in.
    #[error("{}", not_admitted(key))]
    NotAdmitted {
        /// This client's key.
        key: PublicKey,
    },
    /// The server answered, but not to what was asked.
    #[error("the server's answer makes no sense: {0}")]
    Confused(&'static str),
}

/// Why a file was not carried. Nothing of it is left under its name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The server did not grant it.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The data connection could not be made.
    #[error("the data connection cannot be made: {0}")]
    Open(#[from] OpenError),
    /// The data connection was lost.
    #[error("the transfer broke off: {0}")]
    Lost(#[from] ChannelError),
    /// This side's file cannot be read or written.
    #[error("on this side: {0}")]
    Store(#[from] StoreError),
    /// This side's file became shorter while it was sent.
    #[error("on this side: the file became shorter while it was sent")]
    SourceChanged,
    /// The server received the file but does not keep it.
    #[error("the server does not keep the file: {0}")]
    Verdict(Refusal),
    /// What arrived is not what was sent.
    #[error("what arrived is not what was sent; nothing is kept of it")]
    Integrity,
}

impl TransferError {
    /// What to tell the server about it, on the data connection.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Lost(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::SourceChanged => Code::SourceChanged,
            Self::Verdict(refusal) => refusal.code,
            Self::Integrity => Code::Integrity,
            // There is no data connection.
            Self::Request(_) | Self::Open(_) => Code::Unknown,
        }
    }

    /// Whether the same transfer may work when it is tried again on another connection: the
    /// way was at fault, or the server was not ready.
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Open(_) => true,
            Self::Request(RequestError::Lost(error)) | Self::Lost(error) => is_passing(error),
            Self::Request(RequestError::Refused(refusal)) => is_passing_word(refusal.code),
            Self::Request(RequestError::Confused(_) | RequestError::NotAdmitted { .. })
            | Self::Store(_)
            | Self::SourceChanged
            | Self::Verdict(_)
            | Self::Integrity => false,
        }
    }
}

const fn is_passing(error: &ChannelError) -> bool {
    match error {
        ChannelError::GaveUp(code) => is_passing_word(*code),
        ChannelError::WentAway
        | ChannelError::Silent
        | ChannelError::Stalled
        | ChannelError::Transport(_) => true,
        ChannelError::Protocol(_) | ChannelError::NotAdmitted => false,
    }
}

const fn is_passing_word(code: Code) -> bool {
    matches!(
        code,
        Code::Busy | Code::BadToken | Code::Stalled | Code::ShuttingDown | Code::Unknown
    )
}
