//! One of several transfers.

use lftp_netem::profile::{DurationNs, Size};
use serde::{Deserialize, Serialize};

use super::transport::CongestionName;

/// A `[[flow]]`: a transfer with a client of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Flow {
    /// The time at which its client starts. Default 0.
    pub start: DurationNs,
    /// The size of its file, instead of `transfer.size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Its congestion control, instead of `transport.congestion`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub congestion: Option<CongestionName>,
}
