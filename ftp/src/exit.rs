//! Exit codes of `lftp-client` and `lftp-server`: a number for each condition that a script may
//! want to handle.

use std::fmt;
use std::process::ExitCode;

use lftp_transport::{ConnectError, ConnectionError};

use crate::client::{OpenError, RequestError, TransferError};
use crate::protocol::Code;
use crate::protocol::Refusal;
use crate::protocol::channel::ChannelError;
use crate::store::StoreError;

/// Exit code of a program.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Exit {
    /// Success.
    Ok = 0,
    /// A failure without a number of its own.
    Failed = 1,
    /// The command line is invalid.
    Usage = 2,
    /// The server cannot be reached.
    NoConnection = 3,
    /// The server is busy; a later attempt may succeed.
    Busy = 4,
    /// No such file.
    NotFound = 5,
    /// The name is invalid.
    NameRefused = 6,
    /// This client has no right to do that, or the server's file system does not allow it.
    Permission = 7,
    /// A disk is full, on either side, or a quota is used up.
    DiskFull = 8,
    /// The received data is not what was sent.
    Integrity = 9,
    /// The connection was lost.
    Lost = 10,
    /// The peer violated the protocol.
    Protocol = 11,
    /// The local file cannot be read or written.
    LocalFile = 12,
    /// The file already exists, and is not to be replaced.
    Exists = 13,
    /// The connection was alive, but made no progress.
    Stalled = 14,
    /// The server's file system failed, or the server is being stopped.
    Server = 15,
    /// A port cannot be bound.
    Bind = 16,
    /// Some files of a folder did not arrive.
    Partial = 17,
    /// The server's key is not known yet, or differs from the known one.
    UntrustedServer = 18,
    /// The server does not admit this client.
    NotAdmitted = 19,
    /// Stopped by a signal.
    Interrupted = 130,
    /// Standard output is a pipe whose reader has left.
    ClosedPipe = 141,
}

impl Exit {
    /// All exit codes.
    pub const ALL: [Self; 22] = [
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
        Self::ClosedPipe,
    ];

    /// The exit codes of `lftp-client`.
    pub const CLIENT: [Self; 21] = [
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
        Self::Partial,
        Self::UntrustedServer,
        Self::NotAdmitted,
        Self::Interrupted,
        Self::ClosedPipe,
    ];

    /// The exit codes of `lftp-server`.
    pub const SERVER: [Self; 8] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::DiskFull,
        Self::LocalFile,
        Self::Exists,
        Self::Bind,
        Self::ClosedPipe,
    ];

    /// The number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Short description.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Failed => "failed for a reason without a number of its own",
            Self::Usage => "the command line is invalid",
            Self::NoConnection => "the server cannot be reached",
            Self::Busy => "the server is busy; try again later",
            Self::NotFound => "no such file or folder on the server, or not a plain file",
            Self::NameRefused => "the name is refused (\"..\", absolute, a link out of the root)",
            Self::Permission => {
                "no right to read or write there, or the server's file system forbids it"
            }
            Self::DiskFull => "a disk is full, here or on the server, or a quota is used up",
            Self::Integrity => "the received data is not what was sent; it is not kept",
            Self::Lost => "the connection was lost",
            Self::Protocol => "the peer violated the protocol, or uses another version",
            Self::LocalFile => "the local file cannot be read or written",
            Self::Exists => "the file already exists, and is not to be replaced",
            Self::Stalled => "no progress for too long",
            Self::Server => "the server failed or is being stopped",
            Self::Bind => "a port cannot be bound",
            Self::Partial => "some files of a folder did not arrive; the others did",
            Self::UntrustedServer => {
                "the server's key is not known yet, or differs from the known one"
            }
            Self::NotAdmitted => "the server does not admit this client's key",
            Self::Interrupted => "stopped by a signal",
            Self::ClosedPipe => "standard output has no reader any more",
        }
    }

    /// Table of these numbers and their meanings, for `--help`.
    pub fn table(codes: &[Self]) -> String {
        let line = |exit: &Self| format!("  {:>3}  {}\n", exit.number(), exit.meaning());
        let lines: String = codes.iter().map(line).collect();
        format!("Exit codes:\n{lines}")
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
            Code::Integrity | Code::SourceChanged => Self::Integrity,
            Code::BadRequest | Code::BadVersion => Self::Protocol,
            Code::BadToken | Code::Preempted | Code::Unknown => Self::Lost,
            Code::Stalled | Code::TooSlow => Self::Stalled,
            Code::ShuttingDown | Code::Io => Self::Server,
        }
    }
}

impl From<&Refusal> for Exit {
    fn from(refusal: &Refusal) -> Self {
        refusal.code.into()
    }
}

impl From<&ChannelError> for Exit {
    fn from(error: &ChannelError) -> Self {
        match error {
            ChannelError::GaveUp(code) => (*code).into(),
            ChannelError::Stalled => Self::Stalled,
            ChannelError::Protocol(_) | ChannelError::Violation(_) | ChannelError::Accused => {
                Self::Protocol
            }
            ChannelError::Refused(_) => Self::Busy,
            ChannelError::NotAdmitted => Self::NotAdmitted,
            ChannelError::WentAway | ChannelError::Silent | ChannelError::Transport(_) => {
                Self::Lost
            }
        }
    }
}

impl From<&StoreError> for Exit {
    fn from(error: &StoreError) -> Self {
        match error.code() {
            // Only standard output is a pipe among the stores of a client.
            _ if error.is_closed_pipe() => Self::ClosedPipe,
            Code::DiskFull => Self::DiskFull,
            Code::Exists => Self::Exists,
            _ => Self::LocalFile,
        }
    }
}

impl From<&OpenError> for Exit {
    fn from(error: &OpenError) -> Self {
        let exit = match error {
            OpenError::Connect {
                source: ConnectError::Connection(ConnectionError::UntrustedPeer { .. }),
                ..
            } => Self::UntrustedServer,
            OpenError::NotAdmitted { .. } => Self::NotAdmitted,
            OpenError::Connect {
                source: ConnectError::Connection(error),
                ..
            } => (&ChannelError::from(*error)).into(),
            OpenError::Lost { error, .. } => error.into(),
            _ => Self::NoConnection,
        };
        // There was no connection yet that could be lost.
        if exit == Self::Lost {
            Self::NoConnection
        } else {
            exit
        }
    }
}

impl From<&RequestError> for Exit {
    fn from(error: &RequestError) -> Self {
        match error {
            RequestError::Refused(refusal) => refusal.into(),
            RequestError::Lost(error) => error.into(),
            RequestError::NotAdmitted { .. } => Self::NotAdmitted,
            RequestError::UnexpectedReply(_) => Self::Protocol,
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
            TransferError::Rejected(refusal) => refusal.into(),
            TransferError::SourceChanged | TransferError::Integrity => Self::Integrity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_exit_codes_have_the_same_number_or_meaning() {
        for (i, a) in Exit::ALL.iter().enumerate() {
            for b in &Exit::ALL[i + 1..] {
                assert!(a.number() < b.number());
                assert_ne!(a.meaning(), b.meaning());
            }
        }
    }

    #[test]
    fn every_refusal_has_an_exit_code_that_is_not_success() {
        for code in Code::ALL {
            assert_ne!(Exit::from(code), Exit::Ok);
        }
    }
}
