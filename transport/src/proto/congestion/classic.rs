//! Congestion control of the protocol that LFTP started from, kept as a baseline.
//!
//! Slow start from one packet up to a threshold of eight, then one packet more for every window
//! acknowledged. A loss halves both window and threshold and resumes in congestion avoidance.
//! There is no pacing, and no lower bound but one packet.

use std::time::Duration;

use super::{AckInfo, Controller, LossInfo, Params};
use crate::Time;

const INITIAL_WINDOW_PACKETS: u64 = 1;
const INITIAL_SSTHRESH_PACKETS: u64 = 8;

/// The controller.
#[derive(Clone, Debug)]
pub(super) struct Classic {
    mss: u64,
    window: u64,
    ssthresh: u64,
    /// Bytes acknowledged in congestion avoidance since the window last grew.
    acked: u64,
    /// End of the last congestion episode: losses of packets sent before are part of it.
    episode_end: Option<Time>,
    /// Window and threshold before that episode.
    before: Option<(u64, u64)>,
}

impl Classic {
    pub(super) const fn new(params: &Params) -> Self {
        let mss = params.mss_bytes;
        Self {
            mss,
            window: INITIAL_WINDOW_PACKETS * mss,
            ssthresh: INITIAL_SSTHRESH_PACKETS * mss,
            acked: 0,
            episode_end: None,
            before: None,
        }
    }

    fn on_congestion(&mut self, now: Time, sent_at: Time) {
        // A packet sent before the window was halved shows nothing of the halved window.
        if self.episode_end.is_some_and(|end| sent_at <= end) {
            return;
        }
        self.episode_end = Some(now);
        self.before = Some((self.window, self.ssthresh));
        self.halve();
    }

    /// Halves window and threshold in whole packets, as the original counts, and never to none.
    fn halve(&mut self) {
        let half = |bytes: u64| (bytes / self.mss / 2).max(1) * self.mss;
        (self.window, self.ssthresh) = (half(self.window), half(self.ssthresh));
        self.acked = 0;
    }
}

impl Controller for Classic {
    fn on_acked(&mut self, ack: &AckInfo<'_>) {
        if !ack.window_was_used(self.window) {
            return;
        }
        let mut bytes = ack.sample.newly_acked_bytes;
        // What a slow start leaves of the acknowledgement counts for congestion avoidance: bytes,
        // not calls, so that aggregated acknowledgements grow it as far.
        if self.window < self.ssthresh {
            let step = bytes.min(self.ssthresh - self.window);
            self.window += step;
            bytes -= step;
        }
        self.acked += bytes;
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
    }

    fn on_spurious(&mut self, _now: Time) {
        if let Some((window, ssthresh)) = self.before.take() {
            self.window = window;
            self.ssthresh = ssthresh;
        }
    }

    fn on_persistent_congestion(&mut self, now: Time) {
        // Halved once more, not cut to the minimum: the original knows no other answer.
        self.before = None;
        self.halve();
        self.episode_end = Some(now);
    }

    fn on_mtu(&mut self, mss: u64) {
        // Scaled: the original counts packets, and so many packets stay allowed.
        self.window = (self.window * mss / self.mss).max(mss);
        self.ssthresh = (self.ssthresh * mss / self.mss).max(mss);
        self.mss = mss;
    }

    fn window_bytes(&self) -> u64 {
        self.window
    }

    fn pacing_rate_bytes_per_second(&self, _smoothed_rtt: Option<Duration>) -> Option<u64> {
        None
    }

    fn ssthresh_bytes(&self) -> Option<u64> {
        Some(self.ssthresh)
    }
}
