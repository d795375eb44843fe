//! The outcomes of attempts that fail.

use lftp_ftp::{ChannelError, Code, RequestError, StoreError, TransferError};

/// What happened during an attempt and can explain its error.
#[derive(Copy, Clone, Debug)]
pub(super) struct Causes {
    /// The sender's file was overwritten.
    pub(super) edited: bool,
    /// Malicious clients may have used the quota up.
    pub(super) crowded: bool,
}

/// Returns true if an injected fault can explain the error.
pub(super) fn is_expected(error: &TransferError, causes: Causes) -> bool {
    if code(error) == Some(Code::QuotaExceeded) {
        return causes.crowded;
    }
    match error {
        TransferError::Integrity => false,
        TransferError::SourceChanged
        | TransferError::Lost(ChannelError::GaveUp(Code::SourceChanged)) => causes.edited,
        // The receiver's disk only: any other refusal after the last byte is the program's own
        // fault.
        TransferError::Rejected(refusal) => {
            matches!(refusal.code, Code::DiskFull | Code::Io)
        }
        TransferError::Store(error) => is_disk_fault(error),
        // The same test by which the program decides to retry: what it would give up at is a
        // violation.
        error => error.is_temporary() || matches!(code(error), Some(Code::DiskFull | Code::Io)),
    }
}

const fn is_disk_fault(error: &StoreError) -> bool {
    matches!(error, StoreError::DiskFull { .. } | StoreError::Io { .. })
}

fn code(error: &TransferError) -> Option<Code> {
    match error {
        TransferError::Request(RequestError::Refused(refusal))
        | TransferError::Rejected(refusal) => Some(refusal.code),
        TransferError::Lost(ChannelError::GaveUp(code)) => Some(*code),
        TransferError::Store(error) => Some(error.code()),
        _ => None,
    }
}

/// The label of an error among the counts.
pub(super) fn label(error: &TransferError) -> String {
    let kind = match error {
        TransferError::Request(_) => "request",
        TransferError::Open(_) => "no data connection",
        TransferError::Lost(_) => "connection lost",
        TransferError::Store(_) => "own disk",
        TransferError::Rejected(_) => "rejected by the receiver",
        _ => "other",
    };
    match code(error) {
        Some(code) => format!("{kind}, {code:?}"),
        None => kind.to_owned(),
    }
}
