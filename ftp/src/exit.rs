//! Exit codes of `lftp-client` and `lftp-server`: a number for each thing that a script may
//! want to do something about.

use std::fmt;
use std::process::ExitCode;

use lftp_transport::{ConnectError, ConnectionError};

use crate::client::{OpenError, RequestError, TransferError};
use crate::protocol::Code;
use crate::protocol::Refusal;
use crate::protocol::channel::LinkError;
use crate::store::StoreError;

/// How a program ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Exit {
    /// All is done.
    Ok = 0,
    /// Anything that has no number of its own.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The server cannot be reached.
    NoConnection = 3,
    /// The server is busy; later it may work.
    Busy = 4,
    /// No such file.
    NotFound = 5,
    /// The name is one that is never accepted.
    NameRefused = 6,
    /// This client may not do that there, or the server's file system does not allow it.
    Permission = 7,
    /// A disk is full, on either side, or a quota is used up.
    DiskFull = 8,
    /// What arrived is not what was sent.
    Integrity = 9,
    /// The connection was lost in the middle.
    Lost = 10,
    /// The other side is not understood.
    Protocol = 11,
    /// The local file cannot be read or written.
    LocalFile = 12,
    /// The file is there already, and replacing is not allowed.
    Exists = 13,
    /// The connection stood, but nothing moved.
    Stalled = 14,
    /// The server's file system failed, or the server is being stopped.
    Server = 15,
    /// A port cannot be had.
    Bind = 16,
    /// Some files of a folder did not arrive.
    Partial = 17,
    /// The server's key is not known yet, or is another than the one that is.
    UntrustedServer = 18,
    /// The server does not let this client in.
    NotAdmitted = 19,
    /// Stopped by a signal.
    Interrupted = 130,
}

impl Exit {
    /// Every way to end.
    pub const ALL: [Self; 21] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::NoConnection,
        Self::Busy,
        Self::NotFound,
        Self::NameRefused,
        Self::Permission,
        Self::DiskFull,
        Self::Integrity,
        Self::Lost,
        Self::Protocol,
        Self::LocalFile,
        Self::Exists,
        Self::Stalled,
        Self::Server,
        Self::Bind,
        Self::Partial,
        Self::UntrustedServer,
        Self::NotAdmitted,
        Self::Interrupted,
    ];

    /// The number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// What it means, in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Failed => "failed in a way that has no number of its own",
            Self::Usage => "the command line makes no sense",
            Self::NoConnection => "the server cannot be reached",
            Self::Busy => "the server is busy; try again later",
            Self::NotFound => "no such file or folder on the server, or not a plain file",
            Self::NameRefused => "the name is refused (\"..\", absolute, a link out of the root)",
            Self::Permission => {
                "no right to read or write there, or the server's file system forbids it"
            }
            Self::DiskFull => "a disk is full, here or on the server, or a quota is used up",
            Self::Integrity => "what arrived is not what was sent; it is not kept",
            Self::Lost => "the connection was lost",
            Self::Protocol => "the other side is not understood, or another version",
            Self::LocalFile => "the local file cannot be read or written",
            Self::Exists => "the file is there already, and is not to be replaced",
            Self::Stalled => "nothing moved for too long",
            Self::Server => "the server failed or is being stopped",
            Self::Bind => "a port cannot be had",
            Self::Partial => "some files of a folder did not arrive; the others did",
            Self::UntrustedServer => "the server's key is not known yet, or not the one that is",
            Self::NotAdmitted => "the server does not admit this client's key",
            Self::Interrupted => "stopped by a signal",
        }
    }

    /// All numbers and meanings, for `--help`.
    pub fn table() -> String {
        let lines = Self::ALL.map(|exit| format!("  {:>3}  {}\n", exit.number(), exit.meaning()));
        format!("Exit codes:\n{}", lines.concat())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

impl From<Code> for Exit {
    fn from(code: Code) -> Self {
        match code {
            Code::Busy => Self::Busy,
            Code::NotFound | Code::NotAFile => Self::NotFound,
            Code::NameRefused => Self::NameRefused,
            Code::PermissionDenied | Code::NoRight => Self::Permission,
            Code::DiskFull | Code::QuotaExceeded => Self::DiskFull,
            Code::NotAdmitted => Self::NotAdmitted,
            Code::Exists => Self::Exists,
            Code::Integrity => Self::Integrity,
            Code::BadRequest | Code::BadVersion => Self::Protocol,
            Code::BadToken | Code::Superseded | Code::Unknown => Self::Lost,
            Code::Stalled => Self::Stalled,
            Code::SourceChanged | Code::ShuttingDown | Code::Io => Self::Server,
        }
    }
}

impl From<&Refusal> for Exit {
    fn from(refusal: &Refusal) -> Self {
        refusal.code.into()
    }
}

impl From<&LinkError> for Exit {
    fn from(error: &LinkError) -> Self {
        match error {
            LinkError::GaveUp(code) => (*code).into(),
            LinkError::Stalled => Self::Stalled,
            LinkError::Protocol(_) => Self::Protocol,
            LinkError::NotAdmitted => Self::NotAdmitted,
            LinkError::WentAway | LinkError::Silent | LinkError::Transport(_) => Self::Lost,
        }
    }
}

impl From<&StoreError> for Exit {
    fn from(error: &StoreError) -> Self {
        match error.code() {
            Code::DiskFull => Self::DiskFull,
            Code::Exists => Self::Exists,
            _ => Self::LocalFile,
        }
    }
}

impl From<&OpenError> for Exit {
    fn from(error: &OpenError) -> Self {
        match error {
            OpenError::Connect {
                source: ConnectError::Connection(ConnectionError::UntrustedPeer { .. }),
                ..
            } => Self::UntrustedServer,
            OpenError::NotAdmitted { .. } => Self::NotAdmitted,
            _ => Self::NoConnection,
        }
    }
}

impl From<&RequestError> for Exit {
    fn from(error: &RequestError) -> Self {
        match error {
            RequestError::Refused(refusal) => refusal.into(),
            RequestError::Lost(error) => error.into(),
            RequestError::NotAdmitted { .. } => Self::NotAdmitted,
            RequestError::Confused(_) => Self::Protocol,
        }
    }
}

impl From<&TransferError> for Exit {
    fn from(error: &TransferError) -> Self {
        match error {
            TransferError::Request(error) => error.into(),
            TransferError::Open(error) => error.into(),
            TransferError::Lost(error) => error.into(),
            TransferError::Store(error) => error.into(),
            TransferError::SourceChanged => Self::LocalFile,
            TransferError::Verdict(refusal) => refusal.into(),
            TransferError::Integrity => Self::Integrity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_ends_have_the_same_number_or_meaning() {
        for (i, a) in Exit::ALL.iter().enumerate() {
            for b in &Exit::ALL[i + 1..] {
                assert!(a.number() < b.number());
                assert_ne!(a.meaning(), b.meaning());
            }
        }
    }

    #[test]
    fn every_refusal_ends_with_a_number_that_is_not_success() {
        for code in Code::ALL {
            assert_ne!(Exit::from(code), Exit::Ok);
        }
    }
}
