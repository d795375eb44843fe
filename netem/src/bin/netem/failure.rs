//! The ways in which a command fails, and their exit codes.

use std::{io, net::SocketAddr, path::PathBuf};

use lftp_console::{CLOSED_PIPE_EXIT, OutputError};
use lftp_netem::{proxy::ProxyError, recording::RecordingError};

use crate::{network::NetworkError, packet_log::PacketLogError};

/// The exit code when standard output cannot be written.
pub(crate) fn unprintable(error: &OutputError) -> u8 {
    if error.is_closed_pipe() {
        CLOSED_PIPE_EXIT
    } else {
        5
    }
}

/// A command that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{listen} --listen but {to} --to: each address to listen on needs its server")]
    Unpaired { listen: usize, to: usize },
    #[error("no network is given: --profile 4g, --profile FILE, --tc \"loss 1%\" or --set loss=1%")]
    NoNetwork,
    #[error(
        "--control {0} could be reached from other machines, which could then change the network: \
         take a loopback address such as 127.0.0.1:0, or add --control-anyone"
    )]
    ControlForAnyone(SocketAddr),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Start(#[from] ProxyError),
    #[error("cannot take control connections on {address}: {source}")]
    Control {
        address: SocketAddr,
        source: io::Error,
    },
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Exec(#[from] lftp_netem::exec::ExecError),
    #[error("cannot run {command}: {source}")]
    Command { command: String, source: io::Error },
    #[cfg(target_os = "linux")]
    #[error("the peer ended ({0}) before it waited for anything")]
    Peer(std::process::ExitStatus),
    #[error("cannot read the recording {}: {source}", path.display())]
    RecordingFile { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Recording {
        path: PathBuf,
        source: RecordingError,
    },
    #[error("cannot write the recording to {}: {source}", path.display())]
    WriteRecording { path: PathBuf, source: io::Error },
    #[error("the command does not fail with the whole recording, so there is nothing to shrink")]
    DoesNotFail,
    #[error("cannot wait for Ctrl-C: {0}")]
    Signal(#[from] ctrlc::Error),
    #[error(transparent)]
    PacketLog(#[from] PacketLogError),
    #[error("cannot write the report: {0}")]
    Print(#[from] io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("this run is not valid: {0}")]
    Invalid(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Unpaired { .. } | Self::NoNetwork | Self::ControlForAnyone(_) => 2,
            Self::Network(_) => 3,
            Self::Start(_) | Self::Control { .. } | Self::Signal(_) => 4,
            Self::PacketLog(_) | Self::Print(_) => 5,
            Self::Output(error) => unprintable(error),
            Self::Invalid(_) => 6,
            Self::RecordingFile { .. } | Self::Recording { .. } => 3,
            Self::WriteRecording { .. } => 5,
            Self::DoesNotFail => 7,
            #[cfg(target_os = "linux")]
            Self::Exec(_) => 125,
            #[cfg(target_os = "linux")]
            Self::Peer(_) => 125,
            Self::Command { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => 127,
                _ => 126,
            },
        }
    }
}
