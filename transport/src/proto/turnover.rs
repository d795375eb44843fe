//! How long bytes have waited: whether a stream makes progress.

use std::time::Duration;

use crate::Time;

/// The last time at which all bytes that had come by the time before were through.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Turnover {
    since: Time,
    /// Where the bytes end that have to be through before the next one.
    mark: u64,
}

impl Turnover {
    pub(crate) const fn new(now: Time) -> Self {
        Self {
            since: now,
            mark: 0,
        }
    }

    /// Takes the offset up to which bytes are through, and the one behind the last byte that
    /// has come; gives for how long the oldest byte has waited, at least.
    pub(crate) fn waited(&mut self, now: Time, through: u64, end: u64) -> Duration {
        if through >= self.mark {
            *self = Self {
                since: now,
                mark: end,
            };
        }
        now.saturating_since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn a_stream_that_moves_never_waits_for_long_and_one_that_stands_still_does() {
        let mut turnover = Turnover::new(at(0));
        for round in 1..100_u64 {
            let waited = turnover.waited(at(10 * round), 10 * round, 10 * round + 50);
            assert!(waited <= Duration::from_millis(60), "{waited:?}");
        }
        // A byte now and then does not hide that the rest waits.
        for round in 0..100 {
            turnover.waited(at(1_000 + 10 * round), 1_000 + round / 10, 100_000);
        }
        let waited = turnover.waited(at(3_000), 1_009, 100_000);
        assert!(waited >= Duration::from_millis(1_900), "{waited:?}");
    }

    #[test]
    fn where_nothing_waits_no_time_passes() {
        let mut turnover = Turnover::new(at(0));
        assert_eq!(turnover.waited(at(5_000), 0, 0), Duration::ZERO);
        assert_eq!(turnover.waited(at(9_000), 0, 10), Duration::ZERO);
        assert_eq!(
            turnover.waited(at(9_500), 0, 10),
            Duration::from_millis(500)
        );
    }
}
