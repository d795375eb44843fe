//! The seed's congestion control, kept as the baseline.
//!
//! Slow start from one packet up to a threshold of eight, then one packet more for every
//! window acknowledged. A loss halves both window and threshold and goes on in congestion
//! avoidance. There is no pacing, and no lower bound but one packet.

use super::{AckInfo, LossInfo, Params, window_was_used};
use crate::Time;

const INITIAL_WINDOW_PACKETS: u64 = 1;
const INITIAL_SSTHRESH_PACKETS: u64 = 8;

#[derive(Clone, Debug)]
pub(crate) struct Classic {
    mss: u64,
    window: u64,
    ssthresh: u64,
    /// Acknowledged in congestion avoidance since the window last grew.
    acked: u64,
    /// Losses of packets sent up to here belong to the episode already answered.
    episode_end: Option<Time>,
    /// Window and threshold before that episode.
    before: Option<(u64, u64)>,
}

impl Classic {
    pub(crate) const fn new(params: Params) -> Self {
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

    pub(crate) fn on_ack(&mut self, ack: &AckInfo<'_>) {
        if !window_was_used(ack, self.window) {
            return;
        }
        let mut bytes = ack.sample.newly_acked_bytes;
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

    pub(crate) fn on_loss(&mut self, loss: &LossInfo) {
        self.on_congestion(loss.now, loss.largest_lost_sent_at);
    }

    pub(crate) const fn on_spurious(&mut self, _now: Time) {
        if let Some((window, ssthresh)) = self.before.take() {
            self.window = window;
            self.ssthresh = ssthresh;
        }
    }

    pub(crate) fn on_persistent_congestion(&mut self, now: Time) {
        self.before = None;
        self.halve();
        self.episode_end = Some(now);
    }

    pub(crate) fn on_ce(&mut self, now: Time, sent_at: Time) {
        self.on_congestion(now, sent_at);
    }

    pub(crate) fn on_retransmission_timeout(&mut self, now: Time) {
        self.before = None;
        self.halve();
        self.episode_end = Some(now);
    }

    fn on_congestion(&mut self, now: Time, sent_at: Time) {
        if self.episode_end.is_some_and(|end| sent_at <= end) {
            return;
        }
        self.episode_end = Some(now);
        self.before = Some((self.window, self.ssthresh));
        self.halve();
    }

    /// Whole packets, as the seed counts, but never none at all.
    fn halve(&mut self) {
        let half = |bytes: u64| (bytes / self.mss / 2).max(1) * self.mss;
        (self.window, self.ssthresh) = (half(self.window), half(self.ssthresh));
        self.acked = 0;
    }

    pub(crate) const fn window_bytes(&self) -> u64 {
        self.window
    }

    pub(crate) const fn ssthresh_bytes(&self) -> u64 {
        self.ssthresh
    }

    pub(crate) const fn phase(&self) -> &'static str {
        if self.window < self.ssthresh {
            "slow-start"
        } else {
            "congestion-avoidance"
        }
    }

    pub(crate) fn set_mss(&mut self, mss: u64) {
        self.window = (self.window * mss / self.mss).max(mss);
        self.ssthresh = (self.ssthresh * mss / self.mss).max(mss);
        self.mss = mss;
    }
}
