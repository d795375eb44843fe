//! Time on the clock that the driver chose: whole nanoseconds since its origin.

use std::fmt;

use serde::Serialize;

/// A point in time: nanoseconds since the origin of the run.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Time {
    ns: u64,
}

impl Time {
    /// The origin.
    pub const ZERO: Self = Self { ns: 0 };
    /// Later than any time that is ever reached.
    pub const MAX: Self = Self { ns: u64::MAX };

    /// Creates the time `ns` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(ns: u64) -> Self {
        Self { ns }
    }

    /// Returns the nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.ns
    }

    /// Returns the time `ns` nanoseconds later; [`Time::MAX`] at the most.
    #[must_use]
    pub const fn plus_nanos(self, ns: u64) -> Self {
        Self {
            ns: self.ns.saturating_add(ns),
        }
    }

    /// Returns the nanoseconds from `earlier` to this; zero when it is not later.
    #[must_use]
    pub const fn nanos_since(self, earlier: Self) -> u64 {
        self.ns.saturating_sub(earlier.ns)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.ns / 1_000_000_000, self.ns % 1_000_000_000);
        write!(f, "{seconds}.{nanos:09}s")
    }
}
