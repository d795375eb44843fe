//! A bottleneck that sends when a trace says so, exactly as mahimahi's `LinkQueue` does.
//!
//! Each line is a delivery opportunity of 1504 bytes, in whole milliseconds. A packet weighs its IP bytes
//! and the 4 of mahimahi's TUN header; it may span opportunities and leaves at the one that takes
//! its last byte. What an opportunity has left goes to the next packet waiting, and is lost if
//! there is none. A packet that arrives in a millisecond cannot use the opportunities of it.

use super::mahimahi::MahimahiTrace;
use crate::Time;

/// Bytes of a delivery opportunity (mahimahi `src/frontend/link_queue.cc`, `PACKET_SIZE`).
const OPPORTUNITY_BYTES: u64 = 1504;
/// The header of a TUN device, which mahimahi counts.
const TUN_HEADER_BYTES: u64 = 4;
const NS_PER_MS: u64 = 1_000_000;

#[derive(Debug)]
pub(crate) struct DeliveryOpportunities {
    trace: MahimahiTrace,
    /// The time of the present opportunity, and what it has left.
    now_ms: u64,
    left_bytes: u64,
    /// The next one: rounds of the trace before it, and its line.
    round: u64,
    line: usize,
}

impl DeliveryOpportunities {
    pub(crate) const fn new(trace: MahimahiTrace) -> Self {
        Self {
            trace,
            now_ms: 0,
            left_bytes: 0,
            round: 0,
            line: 0,
        }
    }

    /// Returns the time at which a packet that is at the head of the queue now will have left.
    pub(crate) fn send(&mut self, now: Time, bytes: u64, waited: bool) -> Time {
        // A packet that waited continues in the opportunity the one before it left; one that did not
        // may use none of the millisecond in which it arrives, as in mahimahi.
        if !waited {
            self.skip(now.as_nanos() / NS_PER_MS);
        }
        let mut rest = bytes + TUN_HEADER_BYTES;
        // A packet may span opportunities and leaves at the last of them, as in mahimahi.
        while rest > self.left_bytes {
            rest -= self.left_bytes;
            self.open();
        }
        self.left_bytes -= rest;
        Time::from_nanos(self.now_ms.saturating_mul(NS_PER_MS))
    }

    /// Skips the opportunities up to this millisecond and including it.
    fn skip(&mut self, ms: u64) {
        self.left_bytes = 0;
        let period_ms = self.trace.period_ms();
        // By division, not line by line: an idle link may have been silent for hours.
        self.round = ms / period_ms;
        let within = ms % period_ms;
        self.line = self
            .trace
            .times_ms()
            .partition_point(|time| *time <= within);
    }

    fn open(&mut self) {
        if self.line == self.trace.times_ms().len() {
            self.line = 0;
            self.round += 1;
        }
        let start_ms = self.round.saturating_mul(self.trace.period_ms());
        self.now_ms = start_ms.saturating_add(self.trace.times_ms()[self.line]);
        self.line += 1;
        self.left_bytes = OPPORTUNITY_BYTES;
    }
}
