//! The errors of sending and of receiving a file.

use crate::protocol::channel::ChannelError;
use crate::protocol::{Code, Refusal};
use crate::store::StoreError;

/// Failure to send a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("the file cannot be read: {0}")]
    Store(StoreError),
    #[error("the file changed while it was sent")]
    Changed,
    /// The receiver has ended the transfer before its end, and said why.
    #[error("the receiver refuses it: {0}")]
    Refused(Refusal),
}

impl SendError {
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Channel(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Changed => Code::SourceChanged,
            Self::Refused(refusal) => refusal.code,
        }
    }
}

/// Failure to receive a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("the file cannot be written: {0}")]
    Store(StoreError),
    #[error("the received data is not what was sent")]
    Integrity,
}

impl ReceiveError {
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Channel(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Integrity => Code::Integrity,
        }
    }
}
