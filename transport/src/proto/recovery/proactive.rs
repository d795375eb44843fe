//! Proactive retransmission: an unused window is spent on copies of what is in flight.
//!
//! When there is nothing new to send, because the stream is at its end or the peer's window is
//! full, one lost packet delays everything: for a round trip and more until its loss is
//! noticed, again and again if its retransmissions are lost too. On a path that loses packets
//! the sender then sends copies of what is unacknowledged: each byte once a round trip, and more
//! often the less of it there is, since a few bytes cost little and each of them can delay the whole.
//! Window and pacing hold as for any packet, and a budget keeps all of it to about a hundredth
//! of what is sent. No pass takes more than half of what is left of the budget, so that the
//! last few bytes find some; of more than that it takes the newest, whose losses are noticed
//! last.

use std::ops::Range;
use std::time::Duration;

use crate::Time;
use crate::proto::send::SendStream;

/// Paths that lose less than one packet in so many are not worth it.
const LEAST_LOSS_DIVISOR: u64 = 1_000;

/// Fewer losses than this may be an accident.
const LEAST_LOSSES: u64 = 2;

/// Bytes of copies that are always allowed, and the part of the bytes sent that is allowed besides.
const BUDGET_BYTES: u64 = 512 * 1024;
const BUDGET_DIVISOR: u64 = 100;

/// The part of the window that may be in flight: copies must not build a queue for real
/// retransmissions to wait in.
const WINDOW_DIVISOR: u64 = 2;

/// Where no more than this is unacknowledged a pass starts [`FEW_PASSES`] times a round trip.
const FEW_BYTES: u64 = 32 * 1024;
const FEW_PASSES: u32 = 4;

/// A pass over the unacknowledged bytes.
#[derive(Clone, Debug)]
pub(crate) struct ProactiveRetransmission {
    enabled: bool,
    next: u64,
    end: u64,
    /// When another pass may start.
    again_at: Time,
    /// Bytes of copies so far.
    spent: u64,
}

/// The state of the sender by which a pass is judged worth its bytes.
#[derive(Copy, Clone, Debug)]
pub(crate) struct SenderState {
    pub(crate) packets_sent: u64,
    pub(crate) bytes_sent: u64,
    /// Packets declared lost, without those that proved spurious.
    pub(crate) packets_lost: u64,
    pub(crate) bytes_in_flight: u64,
    pub(crate) congestion_window_bytes: u64,
    pub(crate) smoothed_rtt: Duration,
}

impl SenderState {
    const fn is_path_lossy(&self) -> bool {
        self.packets_lost >= LEAST_LOSSES
            && self.packets_lost * LEAST_LOSS_DIVISOR >= self.packets_sent
    }
}

impl ProactiveRetransmission {
    pub(crate) const fn new(enabled: bool) -> Self {
        Self {
            enabled,
            next: 0,
            end: 0,
            again_at: Time::ZERO,
            spent: 0,
        }
    }

    /// Tells whether there is something to send a copy of now.
    pub(crate) fn is_due(&self, now: Time, stream: &SendStream, sender: &SenderState) -> bool {
        self.has_budget(sender)
            && sender.bytes_in_flight < sender.congestion_window_bytes / WINDOW_DIVISOR
            && (self.rest(stream).is_some() || self.pass_start(now, stream, sender).is_some())
    }

    /// When another pass starts, if nothing else wakes the connection before.
    pub(crate) fn next_pass_at(
        &self,
        now: Time,
        stream: &SendStream,
        sender: &SenderState,
    ) -> Option<Time> {
        let again_at = Some(self.again_at).filter(|&again_at| again_at > now)?;
        // Without a budget, or with nothing to copy, the timer would wake the connection in vain
        // each round trip.
        let waits = self.has_budget(sender) && stream.outstanding_bytes() > 0;
        waits.then_some(again_at)
    }

    /// The next bytes to send a copy of, at most `max_len`.
    pub(crate) fn next_chunk(
        &mut self,
        now: Time,
        stream: &SendStream,
        sender: &SenderState,
        max_len: u64,
    ) -> Option<Range<u64>> {
        if !self.is_due(now, stream, sender) {
            return None;
        }
        let rest = self.rest(stream);
        let from = rest.or_else(|| self.pass_start(now, stream, sender))?;
        if rest.is_none() {
            // The end of the pass is fixed now: what is sent later has not had time to be lost.
            let few = stream.outstanding_bytes() <= FEW_BYTES;
            self.end = stream.sent();
            self.again_at = now + sender.smoothed_rtt / if few { FEW_PASSES } else { 1 };
        }
        let chunk = stream.next_unacked(from, max_len)?;
        self.next = chunk.end;
        self.spent += chunk.end - chunk.start;
        Some(chunk)
    }

    fn has_budget(&self, sender: &SenderState) -> bool {
        self.enabled && sender.is_path_lossy() && self.budget_left(sender) > 0
    }

    const fn budget_left(&self, sender: &SenderState) -> u64 {
        let budget = BUDGET_BYTES + sender.bytes_sent / BUDGET_DIVISOR;
        budget.saturating_sub(self.spent)
    }

    /// The offset at which the present pass resumes, unless it has reached its end.
    fn rest(&self, stream: &SendStream) -> Option<u64> {
        let next = Some(self.next).filter(|&next| next < self.end);
        next.filter(|&from| is_unacked_from(stream, from))
    }

    /// The offset at which another pass starts, if it may.
    fn pass_start(&self, now: Time, stream: &SendStream, sender: &SenderState) -> Option<u64> {
        if now < self.again_at {
            return None;
        }
        // Half, not all: each pass then leaves something for the next, down to the last bytes of
        // the stream, which wait the longest for their loss to be noticed.
        let most = self.budget_left(sender) / 2;
        // The newest part where not all can be copied: the older ones have later packets behind
        // them, by which loss detection finds them without help.
        let newest = stream.sent().saturating_sub(most);
        let too_many = stream.outstanding_bytes() > most;
        let start = Some(newest).filter(|&from| too_many && is_unacked_from(stream, from));
        start
            .or(Some(0))
            .filter(|&from| is_unacked_from(stream, from))
    }
}

fn is_unacked_from(stream: &SendStream, from: u64) -> bool {
    stream.next_unacked(from, 1).is_some()
}
