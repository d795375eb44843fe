//! Pacing: a token bucket filled at the controller's rate.
//!
//! Tokens are whole bytes; the part of a byte that a refill leaves over is kept, so that no
//! rate gains or loses anything to rounding. A sender that has run dry waits for a quantum of
//! about a millisecond's worth: the system calls and timers a packet-by-packet schedule would
//! cost buy nothing on a link with a queue.

use std::time::Duration;

use crate::Time;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// The duration of a quantum at the present rate.
const QUANTUM_NS: u64 = 1_000_000;

/// The most a quantum holds: one full GSO send.
const MAX_QUANTUM_BYTES: u64 = 64 * 1024;

/// The delay of a timer that may be made up for: so many quanta, and where those are shorter
/// than timers can be trusted, so long at the present rate.
const CAPACITY_QUANTA: u64 = 3;
const CAPACITY_NS: u64 = 250_000;

/// Decides when the next packet may go.
#[derive(Clone, Debug)]
pub(crate) struct Pacer {
    tokens: u64,
    /// Billionths of a byte.
    remainder: u128,
    refilled_at: Time,
    /// The bucket has run dry: it waits for a quantum, also when something else wakes the
    /// sender.
    gathering: bool,
}

impl Pacer {
    /// A bucket that holds `tokens` bytes at the start.
    pub(crate) const fn new(now: Time, tokens: u64) -> Self {
        Self {
            tokens,
            remainder: 0,
            refilled_at: now,
            gathering: false,
        }
    }

    /// Bytes sent in one go at `rate` bytes a second.
    pub(crate) fn quantum_bytes(rate: u64, mss: u64) -> u64 {
        worth(rate, QUANTUM_NS).clamp(2 * mss, MAX_QUANTUM_BYTES.max(2 * mss))
    }

    /// Bytes that may be sent now at `rate` bytes a second.
    fn budget(&mut self, now: Time, rate: u64, mss: u64) -> u64 {
        let rate = rate.max(1);
        let elapsed = now.saturating_since(self.refilled_at);
        let earned = u128::from(rate) * elapsed.as_nanos() + self.remainder;
        let tokens = u128::from(self.tokens) + earned / NANOS_PER_SECOND;
        // A deep bucket would send the idle time of an application as one burst into the
        // bottleneck's queue (RFC 9002 §7.7).
        let quanta = CAPACITY_QUANTA * Self::quantum_bytes(rate, mss);
        let capacity = quanta.max(worth(rate, CAPACITY_NS));
        if tokens >= u128::from(capacity) {
            // Tokens above the capacity are kept where there are any: the initial burst is granted
            // once, whatever the rate turns out to be.
            self.tokens = self.tokens.max(capacity);
            self.remainder = 0;
        } else {
            self.tokens = tokens as u64;
            self.remainder = earned % NANOS_PER_SECOND;
        }
        // A clock that stands still or goes back earns nothing, now or later.
        self.refilled_at = self.refilled_at.max(now);
        self.tokens
    }

    /// Tells whether a packet of `mss` bytes may go now at `rate` bytes a second.
    pub(crate) fn allows(&mut self, now: Time, rate: u64, mss: u64) -> bool {
        let budget = self.budget(now, rate, mss);
        // One packet at a time would cost a timer and a system call for each (RFC 9002 §7.7
        // allows small bursts).
        let least = if self.gathering {
            Self::quantum_bytes(rate, mss)
        } else {
            mss
        };
        self.gathering = budget < least;
        !self.gathering
    }

    pub(crate) fn on_sent(&mut self, bytes: u64) {
        self.tokens = self.tokens.saturating_sub(bytes);
    }

    /// When a quantum will have gathered.
    pub(crate) fn next_release(&self, rate: u64, mss: u64) -> Time {
        // A whole quantum, though `allows` may ask for less: the timer is set after the bucket ran
        // dry, and that is when quanta are gathered.
        let missing = Self::quantum_bytes(rate, mss).saturating_sub(self.tokens);
        let missing = (u128::from(missing) * NANOS_PER_SECOND).saturating_sub(self.remainder);
        let wait = missing.div_ceil(u128::from(rate.max(1)));
        self.refilled_at + Duration::from_nanos(wait.try_into().unwrap_or(u64::MAX))
    }
}

/// The bytes that `rate` bytes a second earn in `ns`.
fn worth(rate: u64, ns: u64) -> u64 {
    (u128::from(rate) * u128::from(ns) / NANOS_PER_SECOND) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exactly_what_the_rate_allows_is_released(
            rate in 10_000u64..2_000_000_000,
            steps in prop::collection::vec(1u64..5_000_000, 1..200),
        ) {
            let mss = 1472;
            let mut pacer = Pacer::new(Time::ZERO, 0);
            let mut now = Time::ZERO;
            let mut sent = 0u64;
            for step in steps {
                // Never so long that the bucket overflows: then idle time is rightly lost.
                let quantum = u128::from(Pacer::quantum_bytes(rate, mss));
                let longest = quantum * NANOS_PER_SECOND / u128::from(rate);
                now += Duration::from_nanos(step.min(longest as u64));
                let budget = pacer.budget(now, rate, mss);
                pacer.on_sent(budget);
                sent += budget;
                let exact = u128::from(rate) * u128::from(now.as_nanos()) / NANOS_PER_SECOND;
                prop_assert_eq!(u128::from(sent), exact);
            }
        }

        #[test]
        fn at_the_release_time_a_quantum_is_available(rate in 1_000u64..2_000_000_000) {
            let mut pacer = Pacer::new(Time::ZERO, 0);
            pacer.budget(Time::ZERO, rate, 1472);
            let at = pacer.next_release(rate, 1472);
            prop_assert!(pacer.budget(at, rate, 1472) >= Pacer::quantum_bytes(rate, 1472));
            prop_assert!(pacer.allows(at, rate, 1472));
        }

        /// Acknowledgements wake a sender at any moment: it sends whole quanta all the same.
        #[test]
        fn it_sends_whole_quanta_however_often_it_is_asked(
            rate in 10_000u64..2_000_000_000,
            steps in prop::collection::vec(1u64..300_000, 1..200),
        ) {
            let mss = 1472;
            let mut pacer = Pacer::new(Time::ZERO, 0);
            let mut now = Time::ZERO;
            prop_assert!(!pacer.allows(now, rate, mss));
            for step in steps {
                now += Duration::from_nanos(step);
                let mut burst = 0;
                while pacer.allows(now, rate, mss) {
                    pacer.on_sent(mss);
                    burst += mss;
                }
                prop_assert!(burst == 0 || burst + mss > Pacer::quantum_bytes(rate, mss));
            }
        }
    }
}
