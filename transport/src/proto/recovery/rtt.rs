//! Round-trip time estimation (RFC 9002 §5).

use std::time::Duration;

/// Timer granularity (RFC 9002 §6.1.2).
pub(crate) const GRANULARITY: Duration = Duration::from_millis(1);

/// Before any sample (RFC 9002 §6.2.2).
const INITIAL: Duration = Duration::from_millis(333);

/// The round trip that a handshake shows.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum FirstRtt {
    Measured(Duration),
    /// A message was retransmitted: the time since its first copy bounds the round trip.
    AtMost(Duration),
}

/// Estimates of the round-trip time and its variation.
#[derive(Clone, Debug)]
pub(crate) struct RttEstimator {
    samples: u64,
    /// There is a better guess than [`INITIAL`], from an earlier connection or from a
    /// retransmitted handshake.
    guessed: bool,
    latest: Duration,
    min: Duration,
    smoothed: Duration,
    variance: Duration,
}

impl RttEstimator {
    /// `initial` is the round-trip time of an earlier connection (RFC 9002 §6.2.2).
    pub(crate) fn new(initial: Option<Duration>) -> Self {
        let mut estimator = Self {
            samples: 0,
            guessed: false,
            latest: INITIAL,
            min: INITIAL,
            smoothed: INITIAL,
            variance: INITIAL / 2,
        };
        if let Some(initial) = initial {
            estimator.guess(initial);
        }
        estimator
    }

    pub(crate) fn on_handshake(&mut self, rtt: FirstRtt) {
        match rtt {
            FirstRtt::Measured(rtt) => self.update(rtt, Duration::ZERO),
            // A bound, no sample: which copy was answered is unknown (Karn's rule, RFC 6298 §3). It
            // only helps where it is tighter than the guess.
            FirstRtt::AtMost(rtt) if rtt < self.smoothed => self.guess(rtt),
            FirstRtt::AtMost(_) => {}
        }
    }

    /// Takes a value that stands until there is a sample.
    fn guess(&mut self, rtt: Duration) {
        self.guessed = true;
        self.latest = rtt;
        self.min = rtt;
        self.smoothed = rtt;
        self.variance = rtt / 2;
    }

    /// Takes a sample: the time from sending a packet to its acknowledgement, and the delay
    /// that the peer reports within it (RFC 9002 §5.3).
    pub(crate) fn update(&mut self, latest: Duration, ack_delay: Duration) {
        self.latest = latest;
        self.samples += 1;
        // The peer's delay is left in: there is no minimum yet to hold it against.
        if self.samples == 1 {
            self.min = latest;
            self.smoothed = latest;
            self.variance = latest / 2;
            return;
        }
        self.min = self.min.min(latest);
        // The peer may report any delay: it must not take the sample below the minimum (RFC 9002
        // §5.3).
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
        self.samples > 0
    }

    pub(crate) const fn samples(&self) -> u64 {
        self.samples
    }

    /// A round-trip time good enough to pace by, even before the first sample.
    pub(crate) fn known(&self) -> Option<Duration> {
        (self.is_sampled() || self.guessed).then_some(self.smoothed)
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
        let mut rtt = RttEstimator::new(None);
        rtt.update(Duration::from_millis(40), Duration::from_millis(10));
        assert_eq!(rtt.smoothed(), Duration::from_millis(40));
        assert_eq!(rtt.pto_base(), Duration::from_millis(120));
    }

    #[test]
    fn a_guess_stands_until_the_first_sample() {
        let ms = Duration::from_millis;
        let mut rtt = RttEstimator::new(None);
        assert_eq!(rtt.known(), None);
        rtt.on_handshake(FirstRtt::AtMost(ms(1000)));
        assert_eq!(rtt.known(), None, "longer than what is assumed anyway");
        rtt.on_handshake(FirstRtt::AtMost(ms(90)));
        assert_eq!((rtt.known(), rtt.is_sampled()), (Some(ms(90)), false));
        rtt.update(ms(40), Duration::ZERO);
        assert_eq!((rtt.known(), rtt.is_sampled()), (Some(ms(40)), true));
        assert_eq!(RttEstimator::new(Some(ms(600))).known(), Some(ms(600)));
    }

    #[test]
    fn an_acknowledgement_delay_never_takes_a_sample_below_the_minimum() {
        let mut rtt = RttEstimator::new(None);
        rtt.update(Duration::from_millis(40), Duration::ZERO);
        for _ in 0..100 {
            rtt.update(Duration::from_millis(41), Duration::from_secs(5));
        }
        assert!(rtt.smoothed() >= rtt.min());
    }
}
