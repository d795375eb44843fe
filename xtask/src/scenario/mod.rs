//! The scenario file: a network, a transport, a transfer, and the gate's requirements. Every key is
//! in `docs/SCENARIOS.md`.
//!
//! ```toml
//! description = "…"
//! [network]            # see `lftp_netem::profile`; files named there are relative to this one
//! [transport]          # see [`TransportSettings`]
//! [transfer]           # see [`Transfer`]
//! [[flow]]             # one for each transfer; by default a single one; see [`Flow`]
//! [gate]               # see [`Gate`]
//! [limits]             # see [`Limits`]
//! ```

#[cfg(test)]
pub(crate) mod document;
mod find;
mod flows;
mod overrides;
mod transport;

use std::path::PathBuf;

use lftp_netem::profile::{DurationNs, NetworkProfile, Percent, Size};
use serde::{Deserialize, Serialize};

pub(crate) use self::find::{all, load, workspace};
pub(crate) use self::flows::Flow;
pub(crate) use self::transport::TransportSettings;

/// A scenario, as written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    /// The argument that names this scenario on the command line: a name or a file.
    #[serde(skip)]
    pub given_as: String,
    /// The `--set` changes applied to it.
    #[serde(skip)]
    pub changes: Vec<String>,
    /// One sentence for `list` and the report.
    #[serde(default)]
    pub description: String,
    /// The path between client and server.
    pub network: NetworkProfile,
    /// Both ends' transport.
    #[serde(default)]
    pub transport: TransportSettings,
    /// The file and the operation.
    #[serde(default)]
    pub transfer: Transfer,
    /// The transfers, if there are several or their settings differ.
    #[serde(default, rename = "flow", skip_serializing_if = "Vec::is_empty")]
    flows: Vec<Flow>,
    /// The gate's requirements; without it the gate leaves the scenario out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// The limits of a run.
    #[serde(default)]
    pub limits: Limits,
}

/// The operation of the client.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    /// The client sends to the server.
    #[default]
    Put,
    /// The client receives from the server.
    Get,
}

/// The file and the operation. `[network.forward]` is the direction of the data in either case.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Transfer {
    /// The file's size. Default 64 MiB.
    pub size: Size,
    /// Default `"put"`.
    #[serde(rename = "way")]
    pub operation: Operation,
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            size: Size(64 << 20),
            operation: Operation::Put,
        }
    }
}

/// The gate's requirements.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gate {
    /// The lowest permitted median efficiency.
    pub floor: Percent,
    /// The file's size in the gate, instead of the scenario's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
}

/// The limits of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// On the run's own clock. Default 10 min.
    pub time: DurationNs,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: DurationNs(600_000_000_000),
        }
    }
}

/// A scenario that cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ScenarioError {
    /// Neither a known name nor a file.
    #[error("unknown scenario {name:?}; known are: {known}; or give a file that ends in .toml")]
    Unknown {
        /// The argument.
        name: String,
        /// The known names.
        known: String,
    },
    /// A file that cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// An invalid file.
    #[error("{path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The fault, its line, and what was expected.
        message: String,
    },
    /// An invalid `--set`.
    #[error("--set {change}: {message}")]
    Set {
        /// The change as given.
        change: String,
        /// The fault, and what was expected.
        message: String,
    },
    /// A file without a usable name.
    #[error("{0} is not a usable name for a scenario")]
    BadName(PathBuf),
}

impl Scenario {
    /// The transfers, at least one.
    pub(crate) fn flows(&self) -> Vec<Flow> {
        if self.flows.is_empty() {
            vec![Flow::default()]
        } else {
            self.flows.clone()
        }
    }

    /// The transport of one transfer.
    pub(crate) fn transport_of(&self, flow: &Flow) -> lftp_transport::Config {
        let mut settings = self.transport.clone();
        if let Some(congestion) = flow.congestion {
            settings.congestion = Some(congestion);
        }
        settings.config()
    }

    /// The size of one transfer's file, bytes.
    pub(crate) fn size_of(&self, flow: &Flow) -> u64 {
        flow.size.unwrap_or(self.transfer.size).0
    }

    /// The same scenario with `count` transfers that start at once.
    pub(crate) fn with_flows(&self, count: u64) -> Self {
        let mut scenario = self.clone();
        scenario.flows = (0..count).map(|_| Flow::default()).collect();
        scenario
    }

    /// The same scenario with the gate's size.
    pub(crate) fn for_gate(&self) -> Self {
        let mut scenario = self.clone();
        if let Some(size) = self.gate.as_ref().and_then(|gate| gate.size) {
            scenario.transfer.size = size;
        }
        scenario
    }

    /// The scenario as TOML.
    pub(crate) fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_else(|error| format!("# {error}\n"))
    }

    /// The arguments after `cargo xtask scenario` that run this scenario.
    pub(crate) fn arguments(&self) -> String {
        let changes = self
            .changes
            .iter()
            .map(|change| format!(" --set '{change}'"));
        self.given_as.clone() + &changes.collect::<String>()
    }
}

#[cfg(test)]
mod tests;
