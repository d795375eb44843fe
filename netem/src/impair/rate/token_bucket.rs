//! A token bucket (`tc-tbf(8)`): what has been saved may go at once.
//!
//! Tokens are counted in bits × 10⁹, so that a rate in bits per second is exact per nanosecond.
//! A packet larger than the bucket goes when it is full, and leaves a debt.

use super::bottleneck::WORK_PER_BYTE;
use crate::{Time, units::Rate};

#[derive(Debug)]
pub(crate) struct TokenBucket {
    rate: Option<Rate>,
    size: i128,
    /// Tokens at `since`; the bucket starts full.
    tokens: i128,
    /// Tokens with which the waiting packet may go.
    enough: i128,
    since: Time,
}

impl TokenBucket {
    pub(crate) fn new(rate: Option<Rate>, burst_bytes: u64) -> Self {
        let size = i128::from(burst_bytes) * i128::from(WORK_PER_BYTE);
        Self {
            rate,
            size,
            tokens: size,
            enough: 0,
            since: Time::ZERO,
        }
    }

    fn fill(&mut self, now: Time) {
        let bps = i128::from(self.rate.map_or(0, Rate::bps));
        let grown = i128::from(now.nanos_since(self.since)) * bps;
        self.tokens = self.size.min(self.tokens + grown);
        self.since = now;
    }

    /// Takes the tokens of a packet, on credit if need be, and returns the time at which it may go.
    pub(crate) fn spend(&mut self, now: Time, bytes: u64) -> Time {
        self.fill(now);
        let cost = i128::from(bytes) * i128::from(WORK_PER_BYTE);
        self.tokens -= cost;
        // A packet larger than the bucket would never have its tokens: it goes when the bucket is
        // full, and leaves the rest as a debt.
        self.enough = self.size.min(cost) - cost;
        self.ready(now)
    }

    /// Fills at this rate from now on, and returns the time at which the waiting packet may go.
    pub(crate) fn set_rate(&mut self, now: Time, rate: Option<Rate>) -> Time {
        self.fill(now);
        self.rate = rate;
        self.ready(now)
    }

    fn ready(&self, now: Time) -> Time {
        let missing = u128::try_from(self.enough - self.tokens).unwrap_or(0);
        match self.rate {
            _ if missing == 0 => now,
            None => Time::MAX,
            Some(rate) => {
                // Rounded up: a packet must not go before its last token is there. The surplus
                // stays in the bucket.
                let ns = missing.div_ceil(u128::from(rate.bps()));
                now.plus_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
            }
        }
    }
}
