//! The transport's time: whole nanoseconds since an origin that the runtime chooses.
//!
//! The state machines never read a clock. They are given the present [`Time`] and return the `Time`
//! of their next timeout. It is a plain integer, so that the same run gives the same values on every
//! platform.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A point in time: nanoseconds since the runtime's origin.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    ns: u64,
}

impl Time {
    /// The runtime's origin.
    pub const ZERO: Self = Self { ns: 0 };
    /// The latest representable time, which is never reached.
    pub const MAX: Self = Self { ns: u64::MAX };

    /// The time `ns` nanoseconds after the origin.
    pub const fn from_nanos(ns: u64) -> Self {
        Self { ns }
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.ns
    }

    /// Time elapsed since `earlier`; zero when `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.ns.saturating_sub(earlier.ns))
    }
}

/// Saturates at [`Time::MAX`].
impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self {
            ns: self.ns.saturating_add(nanos(rhs)),
        }
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

/// Saturates at [`Time::ZERO`].
impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self {
            ns: self.ns.saturating_sub(nanos(rhs)),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:09}s",
            self.ns / 1_000_000_000,
            self.ns % 1_000_000_000
        )
    }
}

/// A duration as nanoseconds, saturating at the 584 years that fit in a `u64`.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
