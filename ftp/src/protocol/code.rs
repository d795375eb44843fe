//! Error codes of the protocol, in replies and in the reasons of resets.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Reason of a refusal or reset, for programs. A reply also has a message for people.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Code {
    /// Every data port is in use, or the limit of clients is reached; may succeed later.
    Busy,
    /// No such file or folder.
    NotFound,
    /// The name is that of a folder or of something else that is not a plain file.
    NotAFile,
    /// The name is invalid.
    NameRefused,
    /// The file system does not allow it.
    PermissionDenied,
    /// No space is left for the file.
    DiskFull,
    /// The file exists, and is not to be replaced.
    Exists,
    /// The received data is not what was sent.
    Integrity,
    /// A message is malformed or out of place.
    BadRequest,
    /// The other side speaks another version of the protocol.
    BadVersion,
    /// A data connection without a transfer: the token is wrong, used or too old.
    BadToken,
    /// No progress for too long.
    Stalled,
    /// The file became shorter while it was sent.
    SourceChanged,
    /// The server is being stopped.
    ShuttingDown,
    /// The file system failed in another way.
    Io,
    /// A newer transfer of the same file took its place.
    #[serde(rename = "superseded")]
    Preempted,
    /// The client's key is not admitted.
    NotAdmitted,
    /// The client's key has no right to do that.
    NoRight,
    /// The quota of the client's key would be exceeded.
    QuotaExceeded,
    /// The transfer was below the server's least rate while another client waited for its port.
    TooSlow,
    /// A code that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Code {
    /// Every code, in the order of the reset reasons.
    pub const ALL: [Self; 21] = [
        Self::Unknown,
        Self::Busy,
        Self::NotFound,
        Self::NotAFile,
        Self::NameRefused,
        Self::PermissionDenied,
        Self::DiskFull,
        Self::Exists,
        Self::Integrity,
        Self::BadRequest,
        Self::BadVersion,
        Self::BadToken,
        Self::Stalled,
        Self::SourceChanged,
        Self::ShuttingDown,
        Self::Io,
        Self::Preempted,
        Self::NotAdmitted,
        Self::NoRight,
        Self::QuotaExceeded,
        Self::TooSlow,
    ];

    /// Name of the code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Busy => "busy",
            Self::NotFound => "not-found",
            Self::NotAFile => "not-a-file",
            Self::NameRefused => "name-refused",
            Self::PermissionDenied => "permission-denied",
            Self::DiskFull => "disk-full",
            Self::Exists => "exists",
            Self::Integrity => "integrity",
            Self::BadRequest => "bad-request",
            Self::BadVersion => "bad-version",
            Self::BadToken => "bad-token",
            Self::Stalled => "stalled",
            Self::SourceChanged => "source-changed",
            Self::ShuttingDown => "shutting-down",
            Self::Io => "io",
            Self::Preempted => "superseded",
            Self::NotAdmitted => "not-admitted",
            Self::NoRight => "no-right",
            Self::QuotaExceeded => "quota-exceeded",
            Self::TooSlow => "too-slow",
        }
    }

    /// Number of the code in the reset of a data connection. Never 0, which is the reset of a peer
    /// that gives no reason.
    pub fn reset_reason(self) -> u32 {
        let index = Self::ALL.iter().position(|&code| code == self).unwrap_or(0);
        0x100 + u32::try_from(index).unwrap_or(0)
    }

    /// Code of a reset reason, if it is one.
    pub fn from_reset_reason(reason: u32) -> Option<Self> {
        let index = usize::try_from(reason.checked_sub(0x100)?).ok()?;
        Self::ALL.get(index).copied()
    }
}

/// Formats the code as a clause after "the peer gave up: ".
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "it is busy",
            Self::NotFound => "the file does not exist",
            Self::NotAFile => "the name is not that of a plain file",
            Self::NameRefused => "the name is refused",
            Self::PermissionDenied => "its file system does not allow it",
            Self::DiskFull => "its disk is full",
            Self::Exists => "the file already exists",
            Self::Integrity => "the received data is not what was sent",
            Self::BadRequest => "it received an invalid message",
            Self::BadVersion => "it uses another version of the protocol",
            Self::BadToken => "it knows of no such transfer, or no longer",
            Self::Stalled => "no progress for too long",
            Self::SourceChanged => "the file changed while it was sent",
            Self::ShuttingDown => "it is being stopped",
            Self::Io => "its file system failed",
            Self::Preempted => "a newer transfer of the same file took its place",
            Self::NotAdmitted => "it does not admit this key",
            Self::NoRight => "this key has no right to do that there",
            Self::QuotaExceeded => "the quota of this key is used up",
            Self::TooSlow => "the transfer was too slow, and another client waited for its port",
            Self::Unknown => "it gave no reason",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_a_reset_and_none_is_zero() {
        for code in Code::ALL {
            assert_ne!(code.reset_reason(), 0);
            assert_eq!(Code::from_reset_reason(code.reset_reason()), Some(code));
        }
    }

    #[test]
    fn unknown_reset_reasons_are_no_code() {
        for reason in [0, 1, 0xff, 0x100 + 21, u32::MAX] {
            assert_eq!(Code::from_reset_reason(reason), None, "{reason}");
        }
    }

    #[test]
    fn a_code_of_a_later_version_is_unknown_and_no_error() {
        let code: Code = serde_json::from_str("\"quota-for-tuesdays\"").unwrap();
        assert_eq!(code, Code::Unknown);
        for code in Code::ALL {
            let word = format!("{:?}", code.as_str());
            assert_eq!(serde_json::to_string(&code).unwrap(), word);
        }
    }
}
