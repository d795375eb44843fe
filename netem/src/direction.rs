//! The two directions of a network, and values that differ between them.

use std::{
    fmt,
    ops::{Index, IndexMut},
    str::FromStr,
};

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

/// A text that names no direction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a direction: expected forward or reverse")]
pub struct UnknownDirection(String);

impl FromStr for Direction {
    type Err = UnknownDirection;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "forward" => Ok(Self::Forward),
            "reverse" => Ok(Self::Reverse),
            _ => Err(UnknownDirection(text.to_owned())),
        }
    }
}

/// One value for each direction, indexed by [`Direction`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerDirection<T> {
    /// The forward direction's value.
    pub forward: T,
    /// The reverse direction's value.
    pub reverse: T,
}

impl<T> PerDirection<T> {
    /// The values that `value` gives, forward first.
    pub fn from_fn(mut value: impl FnMut(Direction) -> T) -> Self {
        Self {
            forward: value(Direction::Forward),
            reverse: value(Direction::Reverse),
        }
    }

    /// The values that `change` makes of these, forward first.
    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> PerDirection<U> {
        PerDirection {
            forward: change(self.forward),
            reverse: change(self.reverse),
        }
    }
}

impl<T> Index<Direction> for PerDirection<T> {
    type Output = T;

    fn index(&self, direction: Direction) -> &T {
        match direction {
            Direction::Forward => &self.forward,
            Direction::Reverse => &self.reverse,
        }
    }
}

impl<T> IndexMut<Direction> for PerDirection<T> {
    fn index_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::Forward => &mut self.forward,
            Direction::Reverse => &mut self.reverse,
        }
    }
}
