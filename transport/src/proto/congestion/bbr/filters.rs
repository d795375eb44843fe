//! What BBR remembers of the path: the most bandwidth of late, the least round-trip time of
//! late, and the rounds that time is counted in.

use std::time::Duration;

use crate::Time;

/// A maximum is remembered for this many rounds (draft-cardwell-iccrg-bbr-00 §4.1.1.4).
const BANDWIDTH_ROUNDS: usize = 10;

/// With a queue beyond what BBR's own window makes, only for this many: the link is slower
/// than the model says.
const STALE_ROUNDS: usize = 3;

/// A minimum is believed for this long without a sample that confirms it (§4.1.2.2).
const MIN_RTT_LIFETIME: Duration = Duration::from_secs(10);

/// A sample within this part of the minimum confirms it.
const CONFIRM_DIVISOR: u32 = 32;

/// The maximum of each of the last rounds.
#[derive(Clone, Debug, Default)]
pub(super) struct MaxBandwidth {
    /// Bytes a second, the present round first.
    rounds: [u64; BANDWIDTH_ROUNDS],
}

impl MaxBandwidth {
    /// Bytes a second; 0 before the first sample.
    pub(super) fn get(&self) -> u64 {
        self.rounds.iter().copied().max().unwrap_or(0)
    }

    pub(super) fn update(&mut self, rate: u64) {
        self.rounds[0] = self.rounds[0].max(rate);
    }

    /// A round is over.
    pub(super) fn advance(&mut self) {
        self.rounds.rotate_right(1);
        self.rounds[0] = 0;
    }

    /// Everything remembered was too much by this factor.
    pub(super) fn scale(&mut self, factor: f64) {
        for rate in &mut self.rounds {
            *rate = (*rate as f64 * factor) as u64;
        }
    }

    /// Forgets all but the last few rounds, if they hold anything.
    pub(super) fn forget_stale(&mut self) {
        if self.rounds[..STALE_ROUNDS].iter().any(|rate| *rate > 0) {
            self.rounds[STALE_ROUNDS..].fill(0);
        }
    }
}

/// The least round-trip time and when it was last seen.
#[derive(Clone, Debug, Default)]
pub(super) struct MinRtt {
    value: Option<Duration>,
    seen_at: Time,
}

impl MinRtt {
    pub(super) const fn get(&self) -> Option<Duration> {
        self.value
    }

    pub(super) fn update(&mut self, now: Time, rtt: Duration) {
        let least = self.value.map_or(rtt, |value| value.min(rtt));
        self.value = Some(least);
        if rtt <= least + least / CONFIRM_DIVISOR {
            self.seen_at = now;
        }
    }

    /// Nothing has come near the minimum for a long time.
    pub(super) fn is_expired(&self, now: Time) -> bool {
        self.value.is_some() && now.saturating_since(self.seen_at) > MIN_RTT_LIFETIME
    }

    /// What was looked for and found replaces what was known.
    pub(super) const fn replace(&mut self, now: Time, rtt: Option<Duration>) {
        if rtt.is_some() {
            self.value = rtt;
        }
        self.seen_at = now;
    }
}

/// Rounds: one ends when a packet is acknowledged that was sent after it began.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds {
    next_delivered: u64,
    count: u64,
    rtt_min: Option<Duration>,
    last_rtt_min: Option<Duration>,
}

impl Rounds {
    /// Whether this acknowledgement begins a new round.
    pub(super) fn update(
        &mut self,
        prior_delivered: u64,
        delivered: u64,
        rtt: Option<Duration>,
    ) -> bool {
        let starts = prior_delivered >= self.next_delivered;
        if starts {
            self.next_delivered = delivered;
            self.count += 1;
            self.last_rtt_min = self.rtt_min.take();
        }
        if let Some(rtt) = rtt {
            self.rtt_min = Some(self.rtt_min.map_or(rtt, |min| min.min(rtt)));
        }
        starts
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The least round-trip time of the last whole round.
    pub(super) const fn last_rtt_min(&self) -> Option<Duration> {
        self.last_rtt_min
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_is_forgotten_after_ten_rounds() {
        let mut filter = MaxBandwidth::default();
        filter.update(100);
        for round in 0..BANDWIDTH_ROUNDS {
            assert_eq!(filter.get(), 100, "round {round}");
            filter.advance();
            filter.update(50);
        }
        assert_eq!(filter.get(), 50);
    }

    #[test]
    fn a_stale_maximum_goes_at_once_but_never_the_last_knowledge() {
        let mut filter = MaxBandwidth::default();
        filter.update(100);
        for _ in 0..STALE_ROUNDS {
            filter.advance();
        }
        filter.forget_stale();
        assert_eq!(filter.get(), 100);
        filter.update(10);
        filter.forget_stale();
        assert_eq!(filter.get(), 10);
    }

    #[test]
    fn a_minimum_lives_as_long_as_something_comes_near_it() {
        let mut min = MinRtt::default();
        let ms = Duration::from_millis;
        min.update(Time::ZERO, ms(40));
        let later = Time::ZERO + Duration::from_secs(8);
        min.update(later, ms(41));
        assert!(!min.is_expired(later + Duration::from_secs(9)));
        min.update(later, ms(50));
        assert!(min.is_expired(later + Duration::from_secs(11)));
        assert_eq!(min.get(), Some(ms(40)));
        min.replace(later, Some(ms(60)));
        assert_eq!(min.get(), Some(ms(60)));
        assert!(!min.is_expired(later));
    }

    #[test]
    fn a_round_ends_when_something_sent_in_it_is_acknowledged() {
        let mut rounds = Rounds::default();
        assert!(rounds.update(0, 10, None));
        assert!(!rounds.update(5, 20, None));
        assert!(rounds.update(10, 30, None));
        assert!(!rounds.update(29, 40, None));
        assert_eq!(rounds.count(), 2);
    }
}
