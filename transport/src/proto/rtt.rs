//! Round-trip time estimation (RFC 9002 §5).

use std::time::Duration;

/// Timer granularity (RFC 9002 §6.1.2).
pub(crate) const GRANULARITY: Duration = Duration::from_millis(1);

/// Before any sample (RFC 9002 §6.2.2).
const INITIAL: Duration = Duration::from_millis(333);

/// The round-trip time, as far as it is known.
#[derive(Clone, Debug)]
pub(crate) struct RttEstimator {
    sampled: bool,
    latest: Duration,
    min: Duration,
    smoothed: Duration,
    variance: Duration,
}

impl RttEstimator {
    pub(crate) const fn new() -> Self {
        Self {
            sampled: false,
            latest: INITIAL,
            min: INITIAL,
            smoothed: INITIAL,
            variance: Duration::from_nanos(INITIAL.as_nanos() as u64 / 2),
        }
    }

    /// A sample: the time from sending a packet to its acknowledgement, and how long the
    /// peer says it held that back.
    pub(crate) fn update(&mut self, latest: Duration, ack_delay: Duration) {
        self.latest = latest;
        if !self.sampled {
            self.sampled = true;
            self.min = latest;
            self.smoothed = latest;
            self.variance = latest / 2;
            return;
        }
        self.min = self.min.min(latest);
        // The delay is taken off only where the result stays plausible (RFC 9002 §5.3).
        let adjusted = if latest >= self.min + ack_delay {
            latest - ack_delay
        } else {
            latest
        };
        let deviation = self.smoothed.abs_diff(adjusted);
        self.variance = (3 * self.variance + deviation) / 4;
        self.smoothed = (7 * self.smoothed + adjusted) / 8;
    }

    pub(crate) const fn is_sampled(&self) -> bool {
        self.sampled
    }

    pub(crate) const fn latest(&self) -> Duration {
        self.latest
    }

    pub(crate) const fn min(&self) -> Duration {
        self.min
    }

    pub(crate) const fn smoothed(&self) -> Duration {
        self.smoothed
    }

    /// The probe timeout without the peer's delay and without backoff (RFC 9002 §6.2.1).
    pub(crate) fn pto_base(&self) -> Duration {
        self.smoothed + (4 * self.variance).max(GRANULARITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sample_replaces_the_guess() {
        let mut rtt = RttEstimator::new();
        rtt.update(Duration::from_millis(40), Duration::from_millis(10));
        assert_eq!(rtt.smoothed(), Duration::from_millis(40));
        assert_eq!(rtt.pto_base(), Duration::from_millis(120));
    }

    #[test]
    fn an_acknowledgement_delay_never_takes_a_sample_below_the_minimum() {
        let mut rtt = RttEstimator::new();
        rtt.update(Duration::from_millis(40), Duration::ZERO);
        for _ in 0..100 {
            rtt.update(Duration::from_millis(41), Duration::from_secs(5));
        }
        assert!(rtt.smoothed() >= rtt.min());
    }
}
