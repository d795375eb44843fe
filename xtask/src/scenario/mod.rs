//! A scenario: a network, a transport, a transfer, and what to expect of them.
//!
//! ```toml
//! description = "…"
//! [network]            # see `lftp_netem::profile`; files named there are relative to this one
//! [transport]          # see [`TransportSettings`]
//! [transfer]           # see [`Transfer`]
//! [[flow]]             # one for each transfer; without any there is one; see [`Flow`]
//! [gate]               # see [`Gate`]
//! [limits]             # see [`Limits`]
//! ```

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
    /// What a run has to be told to make this scenario again: a name or a file.
    #[serde(skip)]
    pub given_as: String,
    /// The `--set`s it was changed by.
    #[serde(skip)]
    pub changes: Vec<String>,
    /// One sentence.
    #[serde(default)]
    pub description: String,
    /// The path between the two.
    pub network: NetworkProfile,
    /// Both ends' transport.
    #[serde(default)]
    pub transport: TransportSettings,
    /// What is carried.
    #[serde(default)]
    pub transfer: Transfer,
    /// The transfers, where there are several or their settings differ.
    #[serde(default, rename = "flow", skip_serializing_if = "Vec::is_empty")]
    flows: Vec<Flow>,
    /// What the gate asks for; without it, the gate leaves the scenario alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// When to give up.
    #[serde(default)]
    pub limits: Limits,
}

/// Which way a file goes.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// The client sends to the server.
    #[default]
    Put,
    /// The client receives from the server.
    Get,
}

/// What is carried. `[network.forward]` is the way of the data, whoever sends it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Transfer {
    /// The file's size. Default 64 MiB.
    pub size: Size,
    /// Default `"put"`.
    pub way: Way,
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            size: Size(64 << 20),
            way: Way::Put,
        }
    }
}

/// What the gate asks of a scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gate {
    /// The least median efficiency.
    pub floor: Percent,
    /// The file's size in the gate, where it is not the scenario's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
}

/// When a run is given up.
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
    /// Neither a name nor a file.
    #[error("there is no scenario {name:?}; there are: {known}; or give a file that ends in .toml")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What could be.
        known: String,
    },
    /// A file that cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that says something impossible.
    #[error("{path}: {message}")]
    Parse {
        /// Which.
        path: PathBuf,
        /// What is wrong, where, and what was expected.
        message: String,
    },
    /// A `--set` that cannot be.
    #[error("--set {change}: {message}")]
    Set {
        /// As given.
        change: String,
        /// What is wrong and what was expected.
        message: String,
    },
    /// A file without a usable name.
    #[error("{0} has no name that a scenario could have")]
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

    /// The same scenario with so many transfers that all begin at once.
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

    /// What follows `cargo xtask scenario` to run this again.
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
