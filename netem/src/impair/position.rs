//! The position of the random impairments in the pipeline.

use serde::{Deserialize, Serialize};

/// Position in the link at which packets are lost, duplicated and corrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossPosition {
    /// On the wire, past the bottleneck: a lost packet has used up its share of the rate, and
    /// no protocol gets more than rate × (1 − loss).
    #[default]
    AfterQueue,
    /// Before the bottleneck, as in `tc netem`: a sender can make up for the loss and fill the
    /// link.
    BeforeQueue,
}
