//! What went wrong, as one word that both sides know: in answers and in reset reasons.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why one side refused or gave up, for programs; a sentence for people goes with it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Code {
    /// Every data port, or every place for a client, is taken; later it may work.
    Busy,
    /// No such file or folder.
    NotFound,
    /// The name is that of a folder or of something else that is no plain file.
    NotAFile,
    /// The name is one that is never accepted.
    NameRefused,
    /// The file system does not allow it.
    PermissionDenied,
    /// There is no room for the file.
    DiskFull,
    /// The name is taken, and replacing was not asked for.
    Exists,
    /// What arrived is not what was sent.
    Integrity,
    /// A message that makes no sense here.
    BadRequest,
    /// The other side speaks another version of the protocol.
    BadVersion,
    /// A data connection without a transfer: the token is wrong, used or too old.
    BadToken,
    /// Nothing moved for too long.
    Stalled,
    /// The file became shorter while it was sent.
    SourceChanged,
    /// The server is being stopped.
    ShuttingDown,
    /// The file system failed in another way.
    Io,
    /// Another transfer of the same file took its place.
    Superseded,
    /// The client's key is not one that is let in.
    NotAdmitted,
    /// The client's key may not do that.
    NoRight,
    /// The client's key may not have so many bytes here.
    QuotaExceeded,
    /// A word that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Code {
    /// Every code, in the order of the reset reasons.
    pub const ALL: [Self; 20] = [
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
        Self::Superseded,
        Self::NotAdmitted,
        Self::NoRight,
        Self::QuotaExceeded,
    ];

    /// The word, as it is on the wire.
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
            Self::Superseded => "superseded",
            Self::NotAdmitted => "not-admitted",
            Self::NoRight => "no-right",
            Self::QuotaExceeded => "quota-exceeded",
        }
    }

    /// The number that stands for it in a reset of a data connection. Never 0: that is a peer
    /// that went away without a word.
    pub fn reset_reason(self) -> u32 {
        let place = Self::ALL.iter().position(|&code| code == self).unwrap_or(0);
        0x100 + u32::try_from(place).unwrap_or(0)
    }

    /// The code behind a reset reason, if there is one.
    pub fn from_reset_reason(reason: u32) -> Option<Self> {
        let place = usize::try_from(reason.checked_sub(0x100)?).ok()?;
        Self::ALL.get(place).copied()
    }
}

/// A clause that completes "the other side gave up: …".
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "it is busy",
            Self::NotFound => "the file is not there",
            Self::NotAFile => "the name is not that of a plain file",
            Self::NameRefused => "the name is refused",
            Self::PermissionDenied => "its file system does not allow it",
            Self::DiskFull => "its disk is full",
            Self::Exists => "the file is there already",
            Self::Integrity => "what arrived is not what was sent",
            Self::BadRequest => "it met a message that makes no sense to it",
            Self::BadVersion => "it speaks another version of the protocol",
            Self::BadToken => "it knows of no such transfer (any more)",
            Self::Stalled => "nothing moved for too long",
            Self::SourceChanged => "the file became shorter while it was sent",
            Self::ShuttingDown => "it is being stopped",
            Self::Io => "its file system failed",
            Self::Superseded => "another transfer of the same file took its place",
            Self::NotAdmitted => "it does not admit this key",
            Self::NoRight => "this key may not do that there",
            Self::QuotaExceeded => "the quota of this key is used up",
            Self::Unknown => "it did not say why",
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
    fn reasons_that_are_not_ours_are_no_code() {
        for reason in [0, 1, 0xff, 0x100 + 20, u32::MAX] {
            assert_eq!(Code::from_reset_reason(reason), None, "{reason}");
        }
    }

    #[test]
    fn a_word_from_a_later_version_is_unknown_and_no_error() {
        let code: Code = serde_json::from_str("\"quota-for-tuesdays\"").unwrap();
        assert_eq!(code, Code::Unknown);
        for code in Code::ALL {
            let word = format!("{:?}", code.as_str());
            assert_eq!(serde_json::to_string(&code).unwrap(), word);
        }
    }
}
