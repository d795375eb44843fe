//! Retransmission of a handshake message, and the round trip that its answer shows.
//!
//! The first waits are for a short path, since a redundant packet costs little; then they are
//! even, as Linux has them (`tcp_syn_linear_timeouts`), because on a lossy path waiting longer
//! gains nothing; then each is twice the last, up to a few seconds.

use std::time::Duration;

use crate::Time;
use crate::config::Config;
use crate::proto::recovery::FirstRtt;

/// The part of the usual wait after which a path that may be short is tried again.
const EAGER_DIVISOR: u32 = 4;

/// The shortest wait on a path whose round trip is known.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// Retransmissions that follow the same wait.
const LINEAR_RETRIES: u32 = 4;

/// The longest wait: a path that comes back is found again within seconds.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// The schedule of one message.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    first_sent: Option<Time>,
    next: Time,
    wait: Duration,
    /// The wait that stays the same at first.
    even: Duration,
    left: u32,
    sent: u32,
}

impl Retry {
    /// The schedule of the side that sends first.
    pub(crate) fn eager(now: Time, config: &Config) -> Self {
        let usual = config.handshake_retry;
        let Some(round_trip) = config.initial_rtt else {
            return Self {
                wait: usual / EAGER_DIVISOR,
                ..Self::even(now, config)
            };
        };
        let wait = (round_trip * 3 / 2).max(SHORTEST_WAIT);
        // Waits double: with more of them, shorter ones last as long in all.
        let shorter = usual.as_nanos() / wait.as_nanos();
        let more = shorter.checked_ilog2().unwrap_or(0);
        Self {
            wait,
            even: wait,
            left: config.handshake_retries.saturating_add(more + 1),
            ..Self::even(now, config)
        }
    }

    /// The schedule of the side that answers: the other asks again when the answer is lost.
    pub(crate) const fn even(now: Time, config: &Config) -> Self {
        Self {
            first_sent: None,
            next: now,
            wait: config.handshake_retry,
            even: config.handshake_retry,
            left: config.handshake_retries.saturating_add(1),
            sent: 0,
        }
    }

    /// When to send the message, or, after the last time, when to abandon the handshake.
    pub(crate) const fn next(&self) -> Time {
        self.next
    }

    /// Tells whether the message has been sent as often as it may be.
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.left == 0
    }

    /// Counts a message that goes out now.
    pub(crate) fn on_sent(&mut self, now: Time) {
        self.first_sent.get_or_insert(now);
        self.left -= 1;
        self.next = now + self.wait;
        self.sent += 1;
        if self.wait < self.even {
            self.wait = (self.wait * 2).min(self.even);
        } else if self.sent > LINEAR_RETRIES {
            self.wait = (self.wait * 2).min(self.wait.max(MAX_WAIT));
        }
    }

    /// Counts a message that goes out beside the schedule.
    pub(crate) const fn on_sent_out_of_turn(&mut self) {
        self.sent += 1;
    }

    /// Puts another message in the place of this one, due at once.
    pub(crate) const fn restart(&mut self, now: Time) {
        self.first_sent = None;
        self.sent = 0;
        self.next = now;
    }

    /// The time since the message was first sent.
    pub(crate) fn age(&self, now: Time) -> Duration {
        self.first_sent
            .map_or(Duration::ZERO, |sent| now.saturating_since(sent))
    }

    /// The round trip that an answer now shows. Which copy of a retransmitted message was
    /// answered is unknown (Karn's rule, RFC 6298 §3), but none was sent before the first.
    pub(crate) fn round_trip(&self, now: Time) -> Option<FirstRtt> {
        let since_first = now.saturating_since(self.first_sent?);
        Some(if self.sent == 1 {
            FirstRtt::Measured(since_first)
        } else {
            FirstRtt::AtMost(since_first)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(mut retry: Retry, count: usize) -> Vec<u64> {
        let mut now = Time::ZERO;
        let mut next = || {
            retry.on_sent(now);
            let wait = retry.next().saturating_since(now);
            now = retry.next();
            wait.as_millis().try_into().unwrap()
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn an_unknown_path_is_assumed_to_be_short_at_first() {
        let retry = Retry::eager(Time::ZERO, &Config::default());
        let expected = [50, 100, 200, 200, 200, 400, 800, 1600, 3000, 3000];
        assert_eq!(waits(retry, 10), expected);
    }

    #[test]
    fn a_known_round_trip_sets_the_wait_and_does_not_shorten_the_whole() {
        for (rtt_ms, expected) in [(40, 60), (600, 900), (1, 20)] {
            let config = Config {
                initial_rtt: Some(Duration::from_millis(rtt_ms)),
                ..Config::default()
            };
            let retry = Retry::eager(Time::ZERO, &config);
            let total_wait = |retry: Retry| {
                let count = retry.left as usize;
                waits(retry, count).iter().sum::<u64>()
            };
            assert_eq!(waits(retry.clone(), 4), [expected; 4]);
            let usual = total_wait(Retry::even(Time::ZERO, &config));
            assert!(total_wait(retry) >= usual * 9 / 10, "{rtt_ms}");
        }
    }

    #[test]
    fn the_answer_to_a_retransmitted_message_bounds_the_round_trip() {
        let after = |ms| Time::ZERO + Duration::from_millis(ms);
        let mut retry = Retry::eager(Time::ZERO, &Config::default());
        retry.on_sent(Time::ZERO);
        let measured = FirstRtt::Measured(Duration::from_millis(40));
        assert_eq!(retry.round_trip(after(40)), Some(measured));
        retry.on_sent(after(50));
        let at_most = FirstRtt::AtMost(Duration::from_millis(90));
        assert_eq!(retry.round_trip(after(90)), Some(at_most));
        retry.restart(after(90));
        assert_eq!(retry.round_trip(after(130)), None);
    }
}
