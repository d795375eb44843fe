//! Runs a scenario: the same server, the same clients, on either clock.
//!
//! ```text
//! virtual: client ─ transport ─ virtual socket ─ link ─ virtual socket ─ transport ─ server
//! real:    client ─ transport ─ UDP socket ─ proxy (link) ─ UDP socket ─ transport ─ server
//! ```

mod arrival;
mod content;
mod real;
mod tap;
mod transfer;
mod virtual_clock;
mod virtual_world;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use lftp_netem::world::WorldStats;

pub(crate) use self::content::Content;
#[cfg(target_os = "linux")]
pub(crate) use self::real::judged;
pub(crate) use self::tap::{Capture, GivenTape, Tap};
pub(crate) use self::transfer::Steps;
pub(crate) use self::virtual_world::{SERVER, VirtualWorld, client_ip, verdict};
use crate::record::Detail;
use crate::rows::RunRecord;
use crate::scenario::Scenario;

/// Which time passes.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Clock {
    /// The operating system's: real sockets, the proxy between them.
    #[default]
    Real,
    /// The virtual world's: a minute in a blink, the same bytes everywhere.
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

/// What is to be run, and how.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The scenario.
    pub scenario: Scenario,
    /// Of everything random.
    pub seed: u64,
    /// Which time passes.
    pub clock: Clock,
    /// How much is kept.
    pub detail: Detail,
    /// The file that is carried; made up where none is given.
    pub file: Option<GivenFile>,
    /// What goes into the links and is taken from them; nothing by default.
    pub tap: Tap,
}

/// A file of the user's own.
#[derive(Clone, Debug)]
pub(crate) struct GivenFile {
    /// As given.
    pub path: String,
    /// What is in it.
    pub contents: Bytes,
}

/// Why nothing was run. A transfer that fails is no such error: it is a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RunError {
    /// The proxy did not start.
    #[error(transparent)]
    Proxy(#[from] lftp_netem::proxy::ProxyError),
    /// The server did not start.
    #[error("the server cannot start: {0}")]
    Serve(#[from] lftp_ftp::ServeError),
    /// A place for files cannot be had.
    #[error("no place for the received file: {0}")]
    Store(#[from] lftp_ftp::StoreError),
    /// The virtual world broke down.
    #[error("the virtual world: {0}")]
    World(#[from] lftp_netem::world::WorldError),
    /// There is no link to put the kernel's TCP behind.
    #[cfg(target_os = "linux")]
    #[error("no way to put TCP behind the network: {0}")]
    Exec(#[from] lftp_netem::exec::ExecError),
    /// The operating system refused something else.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Plan {
    /// Runs it to its end.
    ///
    /// # Errors
    /// [`RunError`] when it could not even begin.
    pub(crate) fn run(&self, steps: &Arc<Steps>) -> Result<RunRecord, RunError> {
        match self.clock {
            Clock::Real => real::run(self, steps),
            Clock::Virtual => virtual_clock::run(self, steps),
        }
    }

    /// Runs it in virtual time, and says what the world did as well.
    ///
    /// # Errors
    /// [`RunError`] when it could not even begin.
    pub(crate) fn run_counted(
        &self,
        steps: &Arc<Steps>,
    ) -> Result<(RunRecord, WorldStats), RunError> {
        virtual_clock::run_counted(self, steps)
    }

    /// What the transfers carry.
    pub(crate) fn content(&self) -> Content {
        let flows = self.scenario.flows();
        match &self.file {
            Some(file) => Content::given(file.contents.clone(), flows.len()),
            None => Content::made_up(flows.iter().map(|flow| self.scenario.size_of(flow))),
        }
    }

    /// The command that makes this run again.
    pub(crate) fn command(&self) -> String {
        let file = self
            .file
            .as_ref()
            .map(|file| format!(" --file '{}'", file.path));
        let tape = self.tap.tape.as_ref();
        let tape = tape.map(|tape| format!(" --tape '{}'", tape.path));
        format!(
            "cargo xtask scenario {} --clock {} --seed {}{}{}",
            self.scenario.arguments(),
            self.clock,
            self.seed,
            file.unwrap_or_default(),
            tape.unwrap_or_default()
        )
    }
}
