//! The least round-trip time, and for how long it is kept.

use std::time::Duration;

use crate::Time;

/// Time for which a minimum is kept without a sample that confirms it
/// (draft-cardwell-iccrg-bbr-00 §4.1.2.2).
const MIN_RTT_LIFETIME: Duration = Duration::from_secs(10);

/// A sample within this part of the minimum confirms it. Equality, as in the draft, would ask for
/// a visit to `ProbeRtt` every ten seconds wherever timers and quanta differ by microseconds.
const CONFIRM_DIVISOR: u32 = 32;

/// The least round-trip time and when it was last seen.
#[derive(Clone, Debug, Default)]
pub(super) struct MinRtt {
    value: Option<Duration>,
    seen_at: Time,
}

impl MinRtt {
    /// Returns the minimum.
    pub(super) const fn get(&self) -> Option<Duration> {
        self.value
    }

    /// Adds a sample.
    pub(super) fn update(&mut self, now: Time, rtt: Duration) {
        let least = self.value.map_or(rtt, |value| value.min(rtt));
        self.value = Some(least);
        if rtt <= least + least / CONFIRM_DIVISOR {
            self.seen_at = now;
        }
    }

    /// Returns true if nothing has come near the minimum for a long time.
    pub(super) fn is_expired(&self, now: Time) -> bool {
        self.value.is_some() && now.saturating_since(self.seen_at) > MIN_RTT_LIFETIME
    }

    /// Replaces the minimum with what `ProbeRtt` has measured, also where that is longer: the path
    /// may have become longer.
    pub(super) const fn replace(&mut self, now: Time, rtt: Option<Duration>) {
        if rtt.is_some() {
            self.value = rtt;
        }
        self.seen_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
