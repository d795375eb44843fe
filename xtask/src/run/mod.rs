//! Runs a scenario: the same server, the same clients, on either clock.
//!
//! ```text
//! virtual: client ─ transport ─ virtual socket ─ link ─ virtual socket ─ transport ─ server
//! real:    client ─ transport ─ UDP socket ─ proxy (link) ─ UDP socket ─ transport ─ server
//! ```

mod content;
mod integrity;
mod real_time;
mod session;
mod tap;
mod transfer;
mod virtual_time;
mod virtual_world;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use lftp_netem::world::WorldStats;

pub(crate) use self::content::Content;
pub(crate) use self::tap::{Capture, GivenRecording, Tap};
pub(crate) use self::transfer::RunProgress;
pub(crate) use self::virtual_world::client_ip;
#[cfg(feature = "peers")]
pub(crate) use self::virtual_world::{SERVER, VirtualWorld};
use crate::record::Detail;
use crate::rows::RunRecord;
use crate::scenario::Scenario;

/// The clock of a run.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Clock {
    /// The operating system's: real sockets with the proxy between them.
    #[default]
    Real,
    /// The virtual world's: as fast as the processor, and the same on every machine.
    Virtual,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Real => "real",
            Self::Virtual => "virtual",
        })
    }
}

/// The parameters of a run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The scenario.
    pub scenario: Scenario,
    /// The seed of everything random.
    pub seed: u64,
    /// The clock of a run.
    pub clock: Clock,
    /// The level of detail that is kept.
    pub detail: Detail,
    /// The file to transfer; generated if none is given.
    pub file: Option<GivenFile>,
    /// The recordings and captures of the link; none by default.
    pub tap: Tap,
}

/// The user's file.
#[derive(Clone, Debug)]
pub(crate) struct GivenFile {
    /// The path as given.
    pub path: String,
    /// Its contents.
    pub contents: Bytes,
}

/// The reason why a run could not start. A transfer that fails is a result, not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RunError {
    /// The proxy did not start.
    #[error(transparent)]
    Proxy(#[from] lftp_netem::proxy::ProxyError),
    /// The server did not start.
    #[error("the server cannot start: {0}")]
    Serve(#[from] lftp_ftp::ServeError),
    /// No store for the files.
    #[error("no store for the files: {0}")]
    Store(#[from] lftp_ftp::StoreError),
    /// The virtual world failed.
    #[error("the virtual world: {0}")]
    World(#[from] lftp_netem::world::WorldError),
    /// The kernel's TCP cannot be put behind the link.
    #[cfg(all(feature = "peers", target_os = "linux"))]
    #[error("no way to put TCP behind the network: {0}")]
    Exec(#[from] lftp_netem::exec::ExecError),
    /// Another operation that the system refused.
    #[error("cannot {doing}: {source}")]
    System {
        /// The operation.
        doing: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
}

impl Plan {
    /// Runs it to its end.
    ///
    /// # Errors
    /// [`RunError`] when it could not start.
    pub(crate) fn run(&self, progress: &Arc<RunProgress>) -> Result<RunRecord, RunError> {
        match self.clock {
            Clock::Real => real_time::run(self, progress),
            Clock::Virtual => virtual_time::run(self, progress),
        }
    }

    /// Runs it in virtual time; also returns the statistics of the world.
    ///
    /// # Errors
    /// [`RunError`] when it could not start.
    pub(crate) fn run_counted(
        &self,
        progress: &Arc<RunProgress>,
    ) -> Result<(RunRecord, WorldStats), RunError> {
        virtual_time::run_counted(self, progress)
    }

    /// The contents of the transfers.
    pub(crate) fn content(&self) -> Content {
        let flows = self.scenario.flows();
        match &self.file {
            Some(file) => Content::given(file.contents.clone(), flows.len()),
            None => Content::generated(flows.iter().map(|flow| self.scenario.size_of(flow))),
        }
    }

    /// The command that repeats this run.
    pub(crate) fn command(&self) -> String {
        let file = self
            .file
            .as_ref()
            .map(|file| format!(" --file '{}'", file.path));
        // A run that replays is not repeated by its seed alone.
        let replay = self.tap.replay.as_ref();
        let replay = replay.map(|replay| format!(" --replay '{}'", replay.path));
        format!(
            "cargo xtask scenario {} --clock {} --seed {}{}{}",
            self.scenario.arguments(),
            self.clock,
            self.seed,
            file.unwrap_or_default(),
            replay.unwrap_or_default()
        )
    }
}
