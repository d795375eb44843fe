//! When a message of the handshake is sent again, and what its answer shows.
//!
//! The first waits are for a short path, since a packet in vain costs little; then they are
//! even, as Linux has them (`tcp_syn_linear_timeouts`), because on a lossy path waiting longer
//! helps nobody; then each is twice the last, up to a few seconds.

use std::time::Duration;

use crate::Time;
use crate::config::Config;
use crate::proto::recovery::FirstRtt;

/// A path that may be short is asked again after this part of the usual wait.
const EAGER_DIVISOR: u32 = 4;

/// And on a path that is known already, after no less than this.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// So many repeats come after the same wait.
const LINEAR_RETRIES: u32 = 4;

/// Waits grow no longer than this: a path that comes back is found again within seconds.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// A repeated message: when it was first sent and when it is due again.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    first_sent: Option<Time>,
    next: Time,
    wait: Duration,
    /// The wait that does not grow at first.
    even: Duration,
    left: u32,
    sent: u32,
}

impl Retry {
    /// For the side that speaks first.
    pub(crate) fn eager(now: Time, config: &Config) -> Self {
        let usual = config.handshake_retry;
        let Some(round_trip) = config.initial_rtt else {
            return Self {
                wait: usual / EAGER_DIVISOR,
                ..Self::even(now, config)
            };
        };
        let wait = (round_trip * 3 / 2).max(SHORTEST_WAIT);
        // Waits double: shorter ones give up no sooner when there are more of them.
        let shorter = usual.as_nanos() / wait.as_nanos();
        let more = shorter.checked_ilog2().unwrap_or(0);
        Self {
            wait,
            even: wait,
            left: config.handshake_retries.saturating_add(more + 1),
            ..Self::even(now, config)
        }
    }

    /// For the side that answers: it is asked again when its answer is lost.
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

    /// When the message is to be sent, or, after the last time, when to give up.
    pub(crate) const fn next(&self) -> Time {
        self.next
    }

    pub(crate) const fn is_exhausted(&self) -> bool {
        self.left == 0
    }

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

    /// The message was sent out of turn.
    pub(crate) const fn on_sent_besides(&mut self) {
        self.sent += 1;
    }

    /// Another message takes the place of this one, and is due at once.
    pub(crate) const fn begin_anew(&mut self, now: Time) {
        self.first_sent = None;
        self.sent = 0;
        self.next = now;
    }

    /// What an answer now shows of the round trip. When the message was repeated it is unknown
    /// which one was answered (Karn's rule), but none was sent before the first.
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
    fn an_unknown_path_is_taken_for_a_short_one_at_first() {
        let retry = Retry::eager(Time::ZERO, &Config::default());
        let expected = [50, 100, 200, 200, 200, 400, 800, 1600, 3000, 3000];
        assert_eq!(waits(retry, 10), expected);
    }

    #[test]
    fn a_path_that_is_known_is_waited_for_and_given_up_no_sooner() {
        for (rtt_ms, expected) in [(40, 60), (600, 900), (1, 20)] {
            let config = Config {
                initial_rtt: Some(Duration::from_millis(rtt_ms)),
                ..Config::default()
            };
            let retry = Retry::eager(Time::ZERO, &config);
            let patience = |retry: Retry| {
                let count = retry.left as usize;
                waits(retry, count).iter().sum::<u64>()
            };
            assert_eq!(waits(retry.clone(), 4), [expected; 4]);
            let usual = patience(Retry::even(Time::ZERO, &config));
            assert!(patience(retry) >= usual * 9 / 10, "{rtt_ms}");
        }
    }

    #[test]
    fn the_answer_to_a_repeated_message_shows_how_long_it_took_at_most() {
        let after = |ms| Time::ZERO + Duration::from_millis(ms);
        let mut retry = Retry::eager(Time::ZERO, &Config::default());
        retry.on_sent(Time::ZERO);
        let measured = FirstRtt::Measured(Duration::from_millis(40));
        assert_eq!(retry.round_trip(after(40)), Some(measured));
        retry.on_sent(after(50));
        let at_most = FirstRtt::AtMost(Duration::from_millis(90));
        assert_eq!(retry.round_trip(after(90)), Some(at_most));
        retry.begin_anew(after(90));
        assert_eq!(retry.round_trip(after(130)), None);
    }
}
