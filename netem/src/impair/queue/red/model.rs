//! RED (Floyd and Jacobson, "Random Early Detection Gateways for Congestion Avoidance", IEEE/ACM
//! Transactions on Networking 1(4), 1993): drops on arrival, by the average queue.

use super::settings::Red as Parameters;
use crate::Time;

#[derive(Debug)]
pub(crate) struct RedQueue {
    parameters: Parameters,
    average_bytes: f64,
    /// Packets since the last drop; `None` while the average is below the minimum.
    count: Option<u64>,
    /// Time since which the queue has been empty.
    idle_since: Option<Time>,
}

impl RedQueue {
    pub(crate) const fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            average_bytes: 0.0,
            count: None,
            idle_since: Some(Time::ZERO),
        }
    }

    /// Notes that the queue is empty from now on.
    pub(crate) const fn emptied(&mut self, now: Time) {
        self.idle_since = Some(now);
    }

    /// Decides whether a packet that finds `queue_bytes` in the queue is dropped or marked.
    pub(crate) fn drops(&mut self, now: Time, queue_bytes: u64, bits: u32) -> bool {
        self.average(now, queue_bytes);
        let Parameters {
            min_bytes,
            max_bytes,
            ..
        } = self.parameters;
        let (min, max) = (min_bytes as f64, max_bytes as f64);
        if self.average_bytes < min {
            // Counting starts at the first packet above the minimum, so that the first drop is no
            // sooner than later ones.
            self.count = None;
            return false;
        }
        if self.average_bytes >= max {
            self.count = Some(0);
            return true;
        }
        let count = self.count.map_or(0, |count| count + 1);
        let base =
            self.parameters.probability.fraction() * (self.average_bytes - min) / (max - min);
        // The paper's p_b / (1 - count p_b), which spaces drops evenly; multiplied out, so that a
        // denominator below 0 drops for certain.
        let spread = 1.0 - count as f64 * base;
        let random = (f64::from(bits) + 0.5) / 4_294_967_296.0;
        let drops = random * spread < base;
        self.count = Some(if drops { 0 } else { count });
        drops
    }

    /// Moves the average by `2^-weight` of the difference at each arrival; in an idle time as if
    /// small arrivals had found an empty queue.
    fn average(&mut self, now: Time, queue_bytes: u64) {
        let weight = 1.0 / (1_u64 << self.parameters.weight) as f64;
        if let Some(idle_since) = self.idle_since.take() {
            let arrivals = now.nanos_since(idle_since) / self.parameters.packet_ns.max(1);
            // As if so many small packets had found an empty queue (§IV of the paper): time alone
            // does not move an average of arrivals.
            self.average_bytes *= power(1.0 - weight, arrivals);
        }
        self.average_bytes += weight * (queue_bytes as f64 - self.average_bytes);
    }

    pub(crate) const fn marks(&self) -> bool {
        self.parameters.ecn
    }
}

/// `base^exponent` by squaring: only multiplications, so the same everywhere.
fn power(mut base: f64, mut exponent: u64) -> f64 {
    let mut result = 1.0;
    while exponent > 0 {
        if exponent % 2 == 1 {
            result *= base;
        }
        base *= base;
        exponent /= 2;
    }
    result
}
