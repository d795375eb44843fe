//! One of several transfers.

use lftp_netem::profile::{DurationNs, Size};
use serde::{Deserialize, Serialize};

use super::transport::CongestionName;

/// A `[[flow]]`: a transfer with a client of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Flow {
    /// When it begins. Default at once.
    pub start: DurationNs,
    /// Its file, where it is not `transfer.size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Its congestion control, where it is not `transport.congestion`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub congestion: Option<CongestionName>,
}
