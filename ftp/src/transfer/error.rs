//! Why a file was not sent or received.

use crate::protocol::Code;
use crate::protocol::channel::LinkError;
use crate::store::StoreError;

/// Why a file was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the file cannot be read: {0}")]
    Store(StoreError),
    #[error("the file ended before the size it had at the beginning")]
    Changed,
}

impl SendError {
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Link(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Changed => Code::SourceChanged,
        }
    }
}

/// Why a file was not received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the file cannot be written: {0}")]
    Store(StoreError),
    #[error("what arrived is not what was sent")]
    Integrity,
}

impl ReceiveError {
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Link(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Integrity => Code::Integrity,
        }
    }
}
