//! What spare window is good for: early repeats.
//!
//! When there is nothing new to send, because the stream is at its end or the peer's window is
//! full, a lost packet holds everything up: for a round trip and more if its loss is still to
//! be noticed, again and again if its repeats are lost too. On a path that loses packets the
//! sender then repeats what is unacknowledged: each byte once a round trip, and the oftener the
//! less of it there is, since a few bytes cost little and every one of them can hold up the whole.
//! Window and pacing hold as for any packet, and a budget keeps all of it to about a hundredth of
//! what is sent. No pass takes more than half of what is left of it, so that the last few bytes
//! find some; of more than that it takes the newest, whose losses are noticed last.

use std::ops::Range;

use crate::Time;
use crate::config::Recovery;
use crate::proto::connection::{Connection, Stats};

/// Paths that lose less than one packet in so many are not worth it.
const LEAST_LOSS_DIVISOR: u64 = 1_000;

/// Fewer losses than this may be an accident.
const LEAST_LOSSES: u64 = 2;

/// Bytes that may be repeated early at any time, and of the bytes sent one in so many besides.
const BUDGET_BYTES: u64 = 512 * 1024;
const BUDGET_DIVISOR: u64 = 100;

/// In flight at most this part of the window: repeats are not to make a queue for what is
/// really lost to wait in.
const WINDOW_DIVISOR: u64 = 2;

/// Where no more than this is unacknowledged a pass comes [`FEW_PASSES`] times a round trip.
const FEW_BYTES: u64 = 32 * 1024;
const FEW_PASSES: u32 = 4;

/// A pass over what is unacknowledged.
#[derive(Clone, Debug, Default)]
pub(crate) struct SparePass {
    next: u64,
    end: u64,
    /// When another pass may begin.
    again_at: Time,
    /// Bytes repeated early so far.
    spent: u64,
}

impl Connection {
    /// Whether there is something to repeat early.
    pub(crate) fn has_spare_work(&self, now: Time) -> bool {
        self.has_spare_budget()
            && self.sent.bytes_in_flight() < self.controller.window_bytes() / WINDOW_DIVISOR
            && (self.spare_rest().is_some() || self.spare_begin(now).is_some())
    }

    /// When another pass begins, if nothing else wakes the connection before.
    pub(crate) fn spare_again_at(&self, now: Time) -> Option<Time> {
        let again_at = Some(self.spare.again_at).filter(|&again_at| again_at > now)?;
        let waits = self.has_spare_budget() && self.send.outstanding_bytes() > 0;
        waits.then_some(again_at)
    }

    /// The next bytes to repeat early.
    pub(crate) fn next_spare(&mut self, now: Time, room: u64) -> Option<Range<u64>> {
        if !self.has_spare_work(now) {
            return None;
        }
        let rest = self.spare_rest();
        let from = rest.or_else(|| self.spare_begin(now))?;
        if rest.is_none() {
            let few = self.send.outstanding_bytes() <= FEW_BYTES;
            self.spare.end = self.send.sent();
            self.spare.again_at = now + self.rtt.smoothed() / if few { FEW_PASSES } else { 1 };
        }
        let chunk = self.send.next_unacked(from, room)?;
        self.spare.next = chunk.end;
        self.spare.spent += chunk.end - chunk.start;
        Some(chunk)
    }

    fn has_spare_budget(&self) -> bool {
        self.config.recovery == Recovery::Selective
            && is_lossy(&self.stats)
            && self.spare_left() > 0
    }

    fn spare_left(&self) -> u64 {
        let budget = BUDGET_BYTES + self.stats.bytes_sent / BUDGET_DIVISOR;
        budget.saturating_sub(self.spare.spent)
    }

    /// Where this pass goes on, if there is anything left for it.
    fn spare_rest(&self) -> Option<u64> {
        let next = Some(self.spare.next).filter(|&next| next < self.spare.end);
        next.filter(|&from| self.is_unacked_from(from))
    }

    /// Where another pass begins.
    fn spare_begin(&self, now: Time) -> Option<u64> {
        if now < self.spare.again_at {
            return None;
        }
        let most = self.spare_left() / 2;
        let newest = self.send.sent().saturating_sub(most);
        let too_many = self.send.outstanding_bytes() > most;
        let begin = Some(newest).filter(|&from| too_many && self.is_unacked_from(from));
        begin.or(Some(0)).filter(|&from| self.is_unacked_from(from))
    }

    fn is_unacked_from(&self, from: u64) -> bool {
        self.send.next_unacked(from, 1).is_some()
    }
}

const fn is_lossy(stats: &Stats) -> bool {
    let lost = stats.packets_lost.saturating_sub(stats.spurious_losses);
    lost >= LEAST_LOSSES && lost * LEAST_LOSS_DIVISOR >= stats.packets_sent
}
