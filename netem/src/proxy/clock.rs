//! The proxy's clock: nanoseconds since an origin that others may share.
//!
//! The kernel stamps each datagram when it arrives, on the wall clock. A stamp becomes an age first
//! and is then subtracted from the monotonic clock: a proxy that was off the processor for a while
//! still knows when its packets arrived.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Time;

/// A stamp older than this says more about a stepped wall clock than about the packet.
const OLDEST_STAMP_NS: u64 = 1_000_000_000;
/// The latest time after a reading at which a datagram may arrive and be read with the others.
const NEWEST_STAMP_NS: u64 = 10_000_000;

/// Reads the monotonic clock as [`Time`] since `origin`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) const fn new(origin: Instant) -> Self {
        Self { origin }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the proxy runs in real time: this is its clock"
    )]
    pub(crate) fn instant() -> Instant {
        Instant::now()
    }

    pub(crate) const fn origin(&self) -> Instant {
        self.origin
    }

    pub(crate) fn now(&self) -> Time {
        Time::from_nanos(nanos(
            Self::instant().saturating_duration_since(self.origin),
        ))
    }

    /// Both clocks at once, to turn the kernel's stamps of one batch into [`Time`].
    #[expect(
        clippy::disallowed_methods,
        reason = "the kernel stamps datagrams on the wall clock"
    )]
    pub(crate) fn reading(&self) -> Reading {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Reading {
            now: self.now(),
            wall_ns: nanos(wall),
        }
    }
}

/// One instant on the monotonic and on the wall clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    now: Time,
    wall_ns: u64,
}

impl Reading {
    /// The arrival time of a datagram with this kernel stamp; without a usable stamp: now.
    pub(crate) fn arrival(&self, stamp: Option<Duration>) -> Time {
        let stamp_ns = stamp.map_or(self.wall_ns, nanos);
        let now_ns = self.now.as_nanos();
        Time::from_nanos(match self.wall_ns.checked_sub(stamp_ns) {
            // Ages, not stamps: the wall clock may be stepped during a run, and only its last few
            // milliseconds are used.
            Some(age_ns) if age_ns <= OLDEST_STAMP_NS => now_ns.saturating_sub(age_ns),
            Some(_) => now_ns,
            // Later than the reading: the datagram arrived between the reading and the system call
            // that read it.
            None => match stamp_ns - self.wall_ns {
                since_ns @ ..=NEWEST_STAMP_NS => now_ns.saturating_add(since_ns),
                _ => now_ns,
            },
        })
    }
}

/// Processor time of this thread; `None` where the system does not report it.
pub(crate) fn processor_ns() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::try_from(spent).ok().map(nanos)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading() -> Reading {
        Reading {
            now: Time::from_nanos(5_000_000),
            wall_ns: 1_700_000_000_000_000_000,
        }
    }

    #[test]
    fn a_stamp_becomes_the_moment_that_many_nanoseconds_ago() {
        let stamp = Duration::from_nanos(1_700_000_000_000_000_000 - 1_500);
        assert_eq!(reading().arrival(Some(stamp)).as_nanos(), 4_998_500);
    }

    #[test]
    fn a_datagram_may_come_between_the_reading_and_the_read() {
        let stamp = Duration::from_nanos(1_700_000_000_000_000_000 + 25_000);
        assert_eq!(reading().arrival(Some(stamp)).as_nanos(), 5_025_000);
    }

    #[test]
    fn a_missing_an_absurdly_old_and_an_absurdly_new_stamp_mean_now() {
        let future = Duration::from_nanos(1_700_000_000_010_000_001);
        for stamp in [None, Some(future), Some(Duration::from_secs(1))] {
            assert_eq!(reading().arrival(stamp).as_nanos(), 5_000_000);
        }
    }
}
