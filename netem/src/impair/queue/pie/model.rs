//! PIE (RFC 8033): drops on arrival with a probability that holds the delay near a target.
//!
//! Past a probability of one half its derandomisation (§5.4) makes it coarse, so that it swings
//! under an overload that does not give way.
//!
//! The delay is that of the packet which left last (§4.2's alternative by time stamps). Whatever
//! the timer was to do is done before the queue is next looked at; nothing changes in between.

use super::settings::PieSettings;
use crate::Time;

/// §4.1: a queue of two packets is never dropped from.
const SHORT_BYTES: u64 = 3000;
/// §4.2: control parameters, per second of delay.
const ALPHA: f64 = 0.125;
const BETA: f64 = 1.25;
/// §5.1: up to this probability packets are marked rather than dropped.
const MARK_MAX: f64 = 0.1;
/// §5.4: bounds of the derandomisation.
const ACCUMULATED_MIN: f64 = 0.85;
const ACCUMULATED_MAX: f64 = 8.5;

#[derive(Debug)]
pub(crate) struct Pie {
    settings: PieSettings,
    next_update: Time,
    probability: f64,
    accumulated: f64,
    delay_ns: u64,
    old_delay_ns: u64,
    /// Time left in which nothing is dropped.
    burst_ns: u64,
}

impl Pie {
    pub(crate) const fn new(settings: PieSettings) -> Self {
        Self {
            settings,
            next_update: Time::from_nanos(settings.update.0),
            probability: 0.0,
            accumulated: 0.0,
            delay_ns: 0,
            old_delay_ns: 0,
            burst_ns: settings.burst.0,
        }
    }

    /// Makes the updates that the timer was to make by `now`.
    pub(crate) fn update(&mut self, now: Time, empty: bool) {
        while self.next_update <= now {
            if empty {
                self.delay_ns = 0;
            }
            // Once all is zero, no further update changes anything until a packet comes.
            let idle = empty && self.probability == 0.0 && self.old_delay_ns == 0;
            self.step();
            let update_ns = self.settings.update.0;
            let behind = now.nanos_since(self.next_update) / update_ns;
            let steps = if idle { behind + 1 } else { 1 };
            self.next_update = self.next_update.plus_nanos(steps * update_ns);
        }
    }

    /// Notes the sojourn time of a packet that has left.
    pub(crate) const fn departed(&mut self, sojourn_ns: u64) {
        self.delay_ns = sojourn_ns;
    }

    /// §4.2.
    fn step(&mut self) {
        let target_ns = self.settings.target.0;
        let seconds = |ns: u64| ns as f64 / 1e9;
        let (delay, old) = (seconds(self.delay_ns), seconds(self.old_delay_ns));
        // Proportional to the error and to the trend: the trend answers before the target is
        // missed.
        let change = ALPHA * (delay - seconds(target_ns)) + BETA * (delay - old);
        let steps = [
            (0.000_001, 2048.0),
            (0.000_01, 512.0),
            (0.000_1, 128.0),
            (0.001, 32.0),
            (0.01, 8.0),
            (0.1, 2.0),
        ];
        // §4.2 scales the gains with the probability: a small one would otherwise swing from
        // nothing to too much.
        let small = steps.iter().find(|(below, _)| self.probability < *below);
        let mut change = change / small.map_or(1.0, |(_, divisor)| *divisor);
        if self.probability >= 0.1 {
            // §4.2: a sudden load must not drop everything within an update.
            change = change.min(0.02);
        }
        self.probability += change;
        if self.delay_ns == 0 && self.old_delay_ns == 0 {
            // §4.2: an idle queue forgets exponentially; the linear step would take seconds.
            self.probability *= 0.98;
        }
        // Below a part in a billion it is nothing, and may rest.
        if self.probability < 1e-9 {
            self.probability = 0.0;
        }
        self.probability = self.probability.min(1.0);
        self.burst_ns = self.burst_ns.saturating_sub(self.settings.update.0);
        let calm = self.delay_ns < target_ns / 2 && self.old_delay_ns < target_ns / 2;
        // §4.4: the allowance is for bursts after a quiet time, not for a queue that has been under
        // control.
        if self.probability == 0.0 && calm {
            self.burst_ns = self.settings.burst.0;
        }
        self.old_delay_ns = self.delay_ns;
    }

    /// §4.1: decides whether a packet that finds `queue_bytes` in the queue is dropped.
    pub(crate) fn drops(&mut self, queue_bytes: u64, bits: u32) -> bool {
        // §4.1: not while the delay is low, not in the burst allowance, and not from a queue of two
        // packets.
        let short = self.old_delay_ns < self.settings.target.0 / 2 && self.probability < 0.2;
        if self.burst_ns > 0 || short || queue_bytes <= SHORT_BYTES {
            return false;
        }
        if self.probability == 0.0 {
            self.accumulated = 0.0;
        }
        self.accumulated += self.probability;
        let random = (f64::from(bits) + 0.5) / 4_294_967_296.0;
        let drops = self.accumulated >= ACCUMULATED_MAX
            || self.accumulated >= ACCUMULATED_MIN && random < self.probability;
        if drops {
            self.accumulated = 0.0;
        }
        drops
    }

    /// Returns whether packets are marked instead of dropped at the present probability.
    pub(crate) fn marks(&self) -> bool {
        self.settings.ecn && self.probability < MARK_MAX
    }
}
