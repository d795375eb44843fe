//! How a transfer ends on the server: its result, or the failure that its client is told.

use super::lease_table::Reclaimed;
use crate::protocol::channel::ChannelError;
use crate::protocol::{Code, Confirmation, MessageError, Refusal, TreeSummary};
use crate::store::StoreError;
use crate::transfer::{ReceiveError, SendError};

/// Result of a successful transfer, for the access log.
pub(super) struct TransferResult {
    pub(super) bytes: u64,
    /// A hash, or the counts of a tree.
    pub(super) detail: String,
}

impl From<Confirmation> for TransferResult {
    fn from(confirmation: Confirmation) -> Self {
        Self {
            bytes: confirmation.bytes,
            detail: confirmation.hash,
        }
    }
}

impl From<TreeSummary> for TransferResult {
    fn from(summary: TreeSummary) -> Self {
        Self {
            bytes: summary.bytes,
            detail: format!(
                "{} files, {} unchanged, {} skipped, {} failed",
                summary.files, summary.unchanged, summary.skipped, summary.failed
            ),
        }
    }
}

/// Reason why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("the client refuses it: {0}")]
    Refused(#[from] Refusal),
    /// This server has told the client why it does not store the file.
    #[error("{0}")]
    Rejected(Refusal),
    #[error("the file cannot be created: {0}")]
    Create(#[from] StoreError),
    #[error("the server is being stopped")]
    Stopped,
    #[error("another transfer of the same file took its place")]
    Preempted,
    #[error("the client's key was removed or has fewer rights now")]
    Revoked(Code),
    #[error("{}", describe(*.0))]
    Reclaimed(Reclaimed),
}

impl From<MessageError> for Failure {
    fn from(error: MessageError) -> Self {
        Self::Channel(error.into())
    }
}

impl Failure {
    pub(super) const fn code(&self) -> Code {
        match self {
            Self::Send(error) => error.code(),
            Self::Receive(error) => error.code(),
            Self::Channel(error) => error.code(),
            Self::Refused(refusal) | Self::Rejected(refusal) => refusal.code,
            Self::Create(error) => error.code(),
            Self::Revoked(code) => *code,
            Self::Stopped => Code::ShuttingDown,
            Self::Preempted | Self::Reclaimed(Reclaimed::Silent) => Code::Preempted,
            Self::Reclaimed(Reclaimed::Uncollected) => Code::Busy,
            Self::Reclaimed(Reclaimed::Slow) => Code::TooSlow,
        }
    }
}

const fn describe(reason: Reclaimed) -> &'static str {
    match reason {
        Reclaimed::Silent => "the client no longer answered, and came back for its port",
        Reclaimed::Uncollected => "the client had not opened the data connection in time",
        Reclaimed::Slow => "the client held it below the least rate while another one waited",
    }
}

/// Describes to the sender why its file was not received.
pub(super) fn refusal(error: &ReceiveError) -> Refusal {
    Refusal::new(error.code(), error.to_string())
}
