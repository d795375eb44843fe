//! How tries end that come to nothing.

use lftp_ftp::{Code, LinkError, RequestError, StoreError, TransferError};

/// An error that what goes wrong here can explain.
pub(super) fn is_to_be_expected(error: &TransferError) -> bool {
    match error {
        TransferError::Integrity | TransferError::SourceChanged => false,
        TransferError::Verdict(refusal) => {
            matches!(refusal.code, Code::DiskFull | Code::Io)
        }
        TransferError::Store(error) => is_of_a_bad_disk(error),
        error => error.is_temporary() || matches!(code(error), Some(Code::DiskFull | Code::Io)),
    }
}

const fn is_of_a_bad_disk(error: &StoreError) -> bool {
    matches!(error, StoreError::DiskFull { .. } | StoreError::Io { .. })
}

fn code(error: &TransferError) -> Option<Code> {
    match error {
        TransferError::Request(RequestError::Refused(refusal))
        | TransferError::Verdict(refusal) => Some(refusal.code),
        TransferError::Lost(LinkError::GaveUp(code)) => Some(*code),
        TransferError::Store(error) => Some(error.code()),
        _ => None,
    }
}

/// How a try ended, in a few words.
pub(super) fn word(error: &TransferError) -> String {
    let kind = match error {
        TransferError::Request(_) => "request",
        TransferError::Open(_) => "no data connection",
        TransferError::Lost(_) => "broke off",
        TransferError::Store(_) => "own disk",
        TransferError::Verdict(_) => "verdict",
        _ => "other",
    };
    match code(error) {
        Some(code) => format!("{kind}, {code:?}"),
        None => kind.to_owned(),
    }
}
