//! The two directions of a network.

use std::fmt;

use serde::Serialize;

/// The direction in which a link carries packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the sender of the data to its receiver.
    Forward,
    /// From the receiver of the data back to its sender.
    Reverse,
}

impl Direction {
    /// Both directions, forward first.
    pub const ALL: [Self; 2] = [Self::Forward, Self::Reverse];

    /// The other direction.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Forward => Self::Reverse,
            Self::Reverse => Self::Forward,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
        })
    }
}
