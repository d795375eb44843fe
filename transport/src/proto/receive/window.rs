//! Flow control, receiving half: how far the peer may send (RFC 9000 §4.1).
//!
//! The window follows the bytes that one round trip brings. An in-order reader stands still
//! behind every lost packet until its retransmission arrives; with N packets in flight at loss
//! p the slowest needs about log(N)/log(1/p) rounds, so twelve round trips' worth of bytes are
//! kept free, which covers 20 % loss and more.

use std::time::Duration;

use crate::Time;

/// Round trips' worth of data the window has room for.
const WINDOW_ROUNDS: u64 = 12;

/// The window offered to the peer.
#[derive(Debug)]
pub(crate) struct ReceiveWindow {
    window: u64,
    max_window: u64,
    /// The limit last offered, an offset.
    offered: u64,
    /// Data received up to the start of the present measuring round.
    round_start_bytes: u64,
    round_start: Time,
}

impl ReceiveWindow {
    pub(crate) const fn new(now: Time, initial: u64, max_window: u64) -> Self {
        Self {
            window: initial,
            max_window,
            offered: initial,
            round_start_bytes: 0,
            round_start: now,
        }
    }

    pub(crate) const fn offered(&self) -> u64 {
        self.offered
    }

    pub(crate) const fn window(&self) -> u64 {
        self.window
    }

    /// Grows the window to what the last round trip brought, but not beyond `memory`; `received`
    /// counts every stream byte so far.
    pub(crate) fn on_received(&mut self, now: Time, received: u64, round: Duration, memory: u64) {
        if now.saturating_since(self.round_start) < round {
            return;
        }
        let wanted = (received - self.round_start_bytes).saturating_mul(WINDOW_ROUNDS);
        // It grows and never shrinks: what was offered cannot be taken back (RFC 9000 §4.1).
        if wanted > self.window {
            self.window = wanted.min(self.max_window).min(memory).max(self.window);
        }
        self.round_start_bytes = received;
        self.round_start = now;
    }

    /// The limit to offer now that the application has read up to `read_offset`.
    pub(crate) const fn limit(&self, read_offset: u64) -> u64 {
        let limit = read_offset + self.window;
        if limit > self.offered {
            limit
        } else {
            self.offered
        }
    }

    /// Tells whether the new limit is worth a packet of its own.
    pub(crate) const fn should_offer(&self, read_offset: u64) -> bool {
        self.limit(read_offset) - self.offered >= self.window / 8
    }

    pub(crate) const fn on_offered(&mut self, limit: u64) {
        self.offered = limit;
    }
}
