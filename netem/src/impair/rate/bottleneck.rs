//! The bottleneck: sends one packet after the other at a rate that is met to the bit.
//!
//! Times are whole nanoseconds, and few packets take a whole number of them. What a packet was sent
//! too early by, less than a nanosecond, is work that the next one behind it finds.

use crate::{Time, units::Rate};

/// Work is counted in bits × 10⁹: a rate in bits per second does itself of it per nanosecond.
pub(crate) const WORK_PER_BYTE: u64 = 8 * 1_000_000_000;

#[derive(Debug)]
pub(crate) struct Bottleneck {
    rate: Option<Rate>,
    /// Set while a packet is being sent.
    busy: bool,
    /// Set while nothing is sent, for a pause of the schedule.
    paused: bool,
    /// Time from which on `work` is left to do.
    since: Time,
    work: u64,
    /// Time at which the packet will have been sent, or the last one was.
    done: Time,
}

impl Bottleneck {
    pub(crate) const fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            busy: false,
            paused: false,
            since: Time::ZERO,
            work: 0,
            done: Time::ZERO,
        }
    }

    pub(crate) const fn has_rate(&self) -> bool {
        self.rate.is_some()
    }

    pub(crate) const fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// Returns the time at which the packet being sent will have been.
    pub(crate) fn done(&self) -> Option<Time> {
        self.busy.then_some(self.done)
    }

    /// Starts to send this many bytes.
    pub(crate) fn begin(&mut self, now: Time, bytes: u64) {
        debug_assert!(!self.busy, "one packet at a time");
        // Only back to back: after an idle time the fraction of a nanosecond is owed to no packet.
        let left_over = if now == self.done { self.work } else { 0 };
        self.busy = true;
        self.since = now;
        self.work = bytes * WORK_PER_BYTE + left_over;
        self.plan();
    }

    /// Notes that the packet has been sent.
    pub(crate) fn finish(&mut self) {
        self.busy = false;
        self.work_until(self.done);
    }

    /// Sends at this rate from now on, or not at all, the packet being sent included.
    pub(crate) fn set_rate(&mut self, now: Time, rate: Option<Rate>, paused: bool) {
        if self.busy {
            self.work_until(now);
        }
        self.rate = rate;
        self.paused = paused;
        if self.busy {
            self.plan();
        }
    }

    fn work_until(&mut self, now: Time) {
        let bps = self.rate.filter(|_| !self.paused).map_or(0, Rate::bps);
        // Behind a bucket that is empty, the line may have been done for a while.
        let done = now.nanos_since(self.since).saturating_mul(bps);
        self.work = self.work.saturating_sub(done);
        self.since = now;
    }

    fn plan(&mut self) {
        // Rounded down, too early by less than a nanosecond: the rest stays in `work` for the
        // packet behind.
        let ns = self.rate.map_or(0, |rate| self.work / rate.bps());
        self.done = match self.paused {
            true => Time::MAX,
            false => self.since.plus_nanos(ns),
        };
    }
}
