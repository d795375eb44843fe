//! NewReno (RFC 9002 §7 and appendix B).

use super::{AckInfo, Controller, LossInfo, Params};
use crate::Time;

/// Least window, packets (RFC 9002 §7.2).
const MINIMUM_WINDOW_PACKETS: u64 = 2;

/// The controller.
#[derive(Clone, Debug)]
pub(super) struct NewReno {
    mss: u64,
    window: u64,
    ssthresh: Option<u64>,
    /// Bytes acknowledged in congestion avoidance since the window last grew.
    acked: u64,
    /// Start of the present recovery period; packets sent before belong to it.
    recovery_start: Option<Time>,
    in_recovery: bool,
    before: Option<Undo>,
}

/// The state before the last congestion event, to be restored if that was spurious.
#[derive(Copy, Clone, Debug)]
struct Undo {
    window: u64,
    ssthresh: Option<u64>,
    acked: u64,
}

impl NewReno {
    pub(super) fn new(params: &Params) -> Self {
        let mss = params.mss_bytes;
        Self {
            mss,
            window: params.initial_window_packets.max(MINIMUM_WINDOW_PACKETS) * mss,
            ssthresh: None,
            acked: 0,
            recovery_start: None,
            in_recovery: false,
            before: None,
        }
    }

    fn on_congestion(&mut self, now: Time, sent_at: Time) {
        // One cut a round trip: this packet was sent before the last one (RFC 9002 §7.3.2).
        if self.recovery_start.is_some_and(|start| sent_at <= start) {
            return;
        }
        self.before = Some(Undo {
            window: self.window,
            ssthresh: self.ssthresh,
            acked: self.acked,
        });
        self.recovery_start = Some(now);
        self.in_recovery = true;
        self.window = (self.window / 2).max(MINIMUM_WINDOW_PACKETS * self.mss);
        self.ssthresh = Some(self.window);
        self.acked = 0;
    }
}

impl Controller for NewReno {
    fn on_acked(&mut self, ack: &AckInfo<'_>) {
        // Growth waits for something sent after the cut (RFC 9002 §7.3.2).
        if self
            .recovery_start
            .is_some_and(|start| ack.largest_acked_sent_at <= start)
        {
            return;
        }
        self.in_recovery = false;
        if !ack.window_was_used(self.window) {
            return;
        }
        let mut bytes = ack.sample.newly_acked_bytes;
        if self.in_slow_start() {
            // Up to the threshold and not beyond: what is left of the acknowledgement counts for
            // congestion avoidance.
            let room = self
                .ssthresh
                .map_or(u64::MAX, |ssthresh| ssthresh - self.window);
            let step = bytes.min(room);
            self.window += step;
            bytes -= step;
        }
        self.acked += bytes;
        // By bytes (RFC 9002 B.5 divides per acknowledgement): whole packets leave no rounding to
        // add up.
        while self.acked >= self.window {
            self.acked -= self.window;
            self.window += self.mss;
        }
    }

    fn on_lost(&mut self, loss: &LossInfo) {
        self.on_congestion(loss.now, loss.largest_lost_sent_at);
    }

    fn on_ce(&mut self, now: Time, sent_at: Time) {
        self.on_congestion(now, sent_at);
        // A mark is never spurious: a packet found again later must not undo this cut.
        self.before = None;
    }

    fn on_spurious(&mut self, _now: Time) {
        if let Some(before) = self.before.take() {
            self.window = before.window;
            self.ssthresh = before.ssthresh;
            self.acked = before.acked;
            self.recovery_start = None;
            self.in_recovery = false;
        }
    }

    fn on_persistent_congestion(&mut self, _now: Time) {
        self.window = MINIMUM_WINDOW_PACKETS * self.mss;
        self.acked = 0;
        self.recovery_start = None;
        self.in_recovery = false;
        self.before = None;
    }

    fn on_retransmission_timeout(&mut self, now: Time) {
        // Sets the threshold first: without one, slow start would run until the next loss.
        self.on_congestion(now, now);
        self.on_persistent_congestion(now);
    }

    fn on_mtu(&mut self, mss: u64) {
        self.window = self.window.max(MINIMUM_WINDOW_PACKETS * mss);
        self.mss = mss;
    }

    fn window_bytes(&self) -> u64 {
        self.window
    }

    fn ssthresh_bytes(&self) -> Option<u64> {
        self.ssthresh
    }

    fn in_slow_start(&self) -> bool {
        self.ssthresh.is_none_or(|ssthresh| self.window < ssthresh)
    }

    fn phase(&self) -> &'static str {
        if self.in_recovery {
            "recovery"
        } else if self.in_slow_start() {
            "slow-start"
        } else {
            "congestion-avoidance"
        }
    }
}
