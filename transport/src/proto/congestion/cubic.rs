//! CUBIC (RFC 9438) with HyStart++ (RFC 9406).
//!
//! The window follows a cubic function of the time since the last congestion event: fast
//! back to where the loss was, slow around it, fast beyond. Windows are whole bytes; the
//! curve is computed in segments by `+ - * /` and `libm::cbrt`, which give the same bits
//! on every platform.

use std::time::Duration;

use super::hystart::{HyStart, Verdict};
use super::{AckInfo, LossInfo, Params, window_was_used};
use crate::Time;

/// Segments a second cubed (RFC 9438 §5.1).
const C: f64 = 0.4;

/// The multiplicative decrease (RFC 9438 §4.6).
const BETA: f64 = 0.7;

/// What makes Reno with `BETA` as fast as Reno with a half (RFC 9438 §4.3).
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// RFC 9438 §4.6.
const MINIMUM_WINDOW_PACKETS: u64 = 2;

#[derive(Clone, Debug)]
pub(crate) struct Cubic {
    mss: u64,
    state: State,
    /// When the present recovery period began; packets sent before belong to it.
    recovery_start: Option<Time>,
    in_recovery: bool,
    /// Growth stood still because the application did, since then.
    idle_since: Option<Time>,
    hystart: HyStart,
    /// The state before the last congestion event, should it prove to have been none.
    before: Option<State>,
}

/// Everything that a spurious congestion event must give back (RFC 9438 §4.9).
#[derive(Copy, Clone, Debug, PartialEq)]
struct State {
    window: u64,
    ssthresh: Option<u64>,
    /// The window at the last congestion event, segments; lower by fast convergence.
    w_max: f64,
    epoch: Option<Epoch>,
    /// Growth not yet worth a byte, bytes.
    fraction: f64,
}

/// One stretch of congestion avoidance.
#[derive(Copy, Clone, Debug, PartialEq)]
struct Epoch {
    start: Time,
    /// Seconds after `start` at which the curve is back at `w_max`.
    k: f64,
    w_max: f64,
    /// The window Reno would have, segments.
    w_est: f64,
    /// The window when the epoch's congestion event struck, segments.
    prior: f64,
}

impl Cubic {
    pub(crate) fn new(params: Params) -> Self {
        let mss = params.mss_bytes;
        Self {
            mss,
            state: State {
                window: params.initial_window_packets.max(MINIMUM_WINDOW_PACKETS) * mss,
                ssthresh: None,
                w_max: 0.0,
                epoch: None,
                fraction: 0.0,
            },
            recovery_start: None,
            in_recovery: false,
            idle_since: None,
            hystart: HyStart::default(),
            before: None,
        }
    }

    /// One that has left slow start with this window.
    pub(super) fn avoiding(mss: u64, window: u64) -> Self {
        let mut cubic = Self::new(Params {
            mss_bytes: mss,
            initial_window_packets: window / mss,
        });
        cubic.state.ssthresh = Some(cubic.state.window);
        cubic
    }

    /// As [`Self::on_loss`]; what was never in flight is no window to come back to.
    pub(super) fn on_loss_within(&mut self, loss: &LossInfo, in_flight: u64) {
        if !self.is_recovering_from(loss.largest_lost_sent_at) {
            let least = MINIMUM_WINDOW_PACKETS * self.mss;
            self.state.window = self.state.window.min(in_flight).max(least);
            self.on_loss(loss);
        }
    }

    /// There is room that the curve does not know of.
    pub(super) fn raise(&mut self, bytes: u64) {
        self.state.window = self.state.window.saturating_add(bytes);
        self.state.epoch = None;
        self.state.fraction = 0.0;
    }

    pub(crate) fn on_ack(&mut self, ack: &AckInfo<'_>) {
        if self.is_recovering_from(ack.largest_acked_sent_at) {
            return;
        }
        self.in_recovery = false;
        if !window_was_used(ack, self.state.window) {
            self.idle_since.get_or_insert(ack.now);
            return;
        }
        // Time without load does not move the curve (RFC 9438 §5.8).
        if let (Some(since), Some(epoch)) = (self.idle_since.take(), &mut self.state.epoch) {
            epoch.start += ack.now.saturating_since(since);
        }
        if self.in_slow_start() {
            self.slow_start(ack);
        } else {
            self.avoid(ack.now, ack.smoothed_rtt, ack.sample.newly_acked_bytes);
        }
    }

    fn slow_start(&mut self, ack: &AckInfo<'_>) {
        let bytes = ack.sample.newly_acked_bytes;
        if self.state.ssthresh.is_some() {
            // HyStart++ is for the first slow start only (RFC 9406 §4.3).
            let room = self
                .state
                .ssthresh
                .map_or(0, |ssthresh| ssthresh - self.state.window);
            self.state.window += bytes.min(room);
            return;
        }
        let rtt = ack.sample.rtt;
        match self
            .hystart
            .on_ack(ack.largest_acked, ack.next_packet_number, rtt, bytes)
        {
            Verdict::Grow(growth) => self.state.window += growth,
            Verdict::Leave => {
                self.state.ssthresh = Some(self.state.window);
                self.state.w_max = self.segments(self.state.window);
            }
        }
    }

    /// RFC 9438 §4.2 to §4.5.
    fn avoid(&mut self, now: Time, rtt: Duration, acked_bytes: u64) {
        let segments = self.segments(self.state.window);
        let w_max = self.state.w_max;
        let acked = self.segments(acked_bytes);
        let epoch = self.state.epoch.get_or_insert_with(|| {
            let w_max = w_max.max(segments);
            Epoch {
                start: now,
                k: libm::cbrt((w_max - segments) / C),
                w_max,
                w_est: segments,
                prior: w_max,
            }
        });
        let alpha = if epoch.w_est < epoch.prior {
            ALPHA
        } else {
            1.0
        };
        epoch.w_est += alpha * acked / segments;
        let reno = epoch.w_est;
        let elapsed = now.saturating_since(epoch.start);
        let growth = if epoch.at(elapsed) < reno {
            // `reno` itself keeps what is left over.
            self.state.fraction = 0.0;
            (reno - segments).max(0.0)
        } else {
            let ahead = epoch.at(elapsed + rtt).clamp(segments, 1.5 * segments);
            (ahead - segments) * acked / segments
        };
        let bytes = growth * self.mss as f64 + self.state.fraction;
        let whole = bytes as u64;
        self.state.fraction = bytes - whole as f64;
        self.state.window += whole;
    }

    pub(crate) fn on_loss(&mut self, loss: &LossInfo) {
        self.on_congestion(loss.now, loss.largest_lost_sent_at);
    }

    pub(crate) fn on_spurious(&mut self, _now: Time) {
        if let Some(before) = self.before.take() {
            self.state = before;
            self.recovery_start = None;
            self.in_recovery = false;
        }
    }

    pub(crate) fn on_persistent_congestion(&mut self, _now: Time) {
        self.state.window = MINIMUM_WINDOW_PACKETS * self.mss;
        self.state.epoch = None;
        self.state.fraction = 0.0;
        self.recovery_start = None;
        self.in_recovery = false;
        self.before = None;
    }

    pub(crate) fn on_ce(&mut self, now: Time, sent_at: Time) {
        self.on_congestion(now, sent_at);
        // A mark is never spurious.
        self.before = None;
    }

    pub(crate) fn on_retransmission_timeout(&mut self, now: Time) {
        self.on_congestion(now, now);
        self.on_persistent_congestion(now);
    }

    fn on_congestion(&mut self, now: Time, sent_at: Time) {
        if self.is_recovering_from(sent_at) {
            return;
        }
        self.before = Some(self.state);
        self.recovery_start = Some(now);
        self.in_recovery = true;
        self.idle_since = None;
        let segments = self.segments(self.state.window);
        // Fast convergence (RFC 9438 §4.7): a flow that is losing ground gives up more.
        let losing_ground = segments < self.state.w_max;
        self.state.w_max = if losing_ground {
            segments * (1.0 + BETA) / 2.0
        } else {
            segments
        };
        let reduced = (self.state.window as f64 * BETA) as u64;
        self.state.window = reduced.max(MINIMUM_WINDOW_PACKETS * self.mss);
        self.state.ssthresh = Some(self.state.window);
        self.state.epoch = None;
        self.state.fraction = 0.0;
    }

    /// What was sent then belongs to the last congestion event.
    fn is_recovering_from(&self, sent_at: Time) -> bool {
        self.recovery_start.is_some_and(|start| sent_at <= start)
    }

    fn segments(&self, bytes: u64) -> f64 {
        bytes as f64 / self.mss as f64
    }

    pub(crate) const fn window_bytes(&self) -> u64 {
        self.state.window
    }

    pub(crate) const fn ssthresh_bytes(&self) -> Option<u64> {
        self.state.ssthresh
    }

    pub(crate) fn in_slow_start(&self) -> bool {
        self.state
            .ssthresh
            .is_none_or(|ssthresh| self.state.window < ssthresh)
    }

    pub(crate) fn phase(&self) -> &'static str {
        if self.in_recovery {
            "recovery"
        } else if self.in_slow_start() {
            "slow-start"
        } else {
            "congestion-avoidance"
        }
    }

    pub(crate) fn set_mss(&mut self, mss: u64) {
        let scale = self.mss as f64 / mss as f64;
        self.state.w_max *= scale;
        self.state.window = self.state.window.max(MINIMUM_WINDOW_PACKETS * mss);
        self.state.epoch = None;
        self.before = None;
        self.mss = mss;
    }
}

impl Epoch {
    /// W_cubic (RFC 9438 §4.2), segments.
    fn at(&self, elapsed: Duration) -> f64 {
        let t = elapsed.as_nanos() as f64 / 1e9 - self.k;
        C * t * t * t + self.w_max
    }
}
