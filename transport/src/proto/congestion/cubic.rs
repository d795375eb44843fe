//! CUBIC (RFC 9438) with HyStart++ (RFC 9406).
//!
//! The window follows a cubic function of the time since the last congestion event: fast
//! back to where the loss was, slow around it, fast beyond. Windows are whole bytes; the
//! curve is computed in segments by `+ - * /` and `libm::cbrt`, which give the same bits
//! on every platform.

use std::time::Duration;

use super::hystart::{Growth, HyStart};
use super::{AckInfo, Controller, LossInfo, Params};
use crate::Time;

/// Steepness of the curve, segments a second cubed (RFC 9438 §5.1).
const C: f64 = 0.4;

/// Multiplicative decrease (RFC 9438 §4.6).
const BETA: f64 = 0.7;

/// Additive increase with which Reno is as fast at `BETA` as it is at a half (RFC 9438 §4.3).
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// Least window, packets (RFC 9438 §4.6).
const MINIMUM_WINDOW_PACKETS: u64 = 2;

/// The controller.
#[derive(Clone, Debug)]
pub(super) struct Cubic {
    mss: u64,
    state: State,
    /// Start of the present recovery period; packets sent before belong to it.
    recovery_start: Option<Time>,
    in_recovery: bool,
    /// Time since which growth has stood still because the application did.
    idle_since: Option<Time>,
    hystart: HyStart,
    /// The state before the last congestion event, to be restored if that was spurious.
    before: Option<State>,
}

/// Everything that is restored after a spurious congestion event (RFC 9438 §4.9).
#[derive(Copy, Clone, Debug, PartialEq)]
struct State {
    window: u64,
    ssthresh: Option<u64>,
    /// Window at the last congestion event, segments; lowered by fast convergence.
    w_max: f64,
    epoch: Option<Epoch>,
    /// Growth that does not make a whole byte yet, bytes.
    fraction: f64,
}

/// One stretch of congestion avoidance.
#[derive(Copy, Clone, Debug, PartialEq)]
struct Epoch {
    start: Time,
    /// Time after `start` at which the curve is back at `w_max`, seconds.
    k: f64,
    w_max: f64,
    /// Window that Reno would have, segments.
    w_est: f64,
    /// Window at the congestion event that began the epoch, segments.
    prior: f64,
}

impl Cubic {
    pub(super) fn new(params: &Params) -> Self {
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

    /// Creates one that has left slow start with this window, for a controller that uses the curve
    /// as a bound.
    pub(super) fn avoiding(now: Time, mss: u64, window: u64) -> Self {
        let mut cubic = Self::new(&Params {
            now,
            mss_bytes: mss,
            initial_window_packets: window / mss,
        });
        cubic.state.ssthresh = Some(cubic.state.window);
        cubic
    }

    /// Handles losses as [`Controller::on_lost`], from the lower of the window and what was in
    /// flight: a window that was never filled is none to return to.
    pub(super) fn on_lost_within(&mut self, loss: &LossInfo, in_flight: u64) {
        if !self.is_recovering_from(loss.largest_lost_sent_at) {
            let least = MINIMUM_WINDOW_PACKETS * self.mss;
            self.state.window = self.state.window.min(in_flight).max(least);
            self.on_lost(loss);
        }
    }

    /// Adds to the window because there is room that the curve does not know of.
    pub(super) fn raise(&mut self, bytes: u64) {
        self.state.window = self.state.window.saturating_add(bytes);
        self.state.epoch = None;
        self.state.fraction = 0.0;
    }

    fn slow_start(&mut self, ack: &AckInfo<'_>) {
        let bytes = ack.sample.newly_acked_bytes;
        if self.state.ssthresh.is_some() {
            // A later slow start knows its threshold: HyStart++ is for the first (RFC 9406 §4.3).
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
            Growth::By(growth) => self.state.window += growth,
            Growth::Over => {
                self.state.ssthresh = Some(self.state.window);
                self.state.w_max = self.segments(self.state.window);
            }
        }
    }

    /// Grows the window in congestion avoidance (RFC 9438 §4.2 to §4.5).
    fn avoid(&mut self, now: Time, rtt: Duration, acked_bytes: u64) {
        let segments = self.segments(self.state.window);
        let w_max = self.state.w_max;
        let acked = self.segments(acked_bytes);
        let epoch = self.state.epoch.get_or_insert_with(|| {
            // After a growth that the curve did not make (`raise`, a restored window) the plateau
            // is where the window is: k would otherwise be negative.
            let w_max = w_max.max(segments);
            Epoch {
                start: now,
                k: libm::cbrt((w_max - segments) / C),
                w_max,
                w_est: segments,
                prior: w_max,
            }
        });
        // Once it is back at the last window, Reno's estimate grows by a packet a round trip (RFC
        // 9438 §4.3): it has made up for the gentler decrease.
        let alpha = if epoch.w_est < epoch.prior {
            ALPHA
        } else {
            1.0
        };
        epoch.w_est += alpha * acked / segments;
        let reno = epoch.w_est;
        let elapsed = now.saturating_since(epoch.start);
        let growth = if epoch.at(elapsed) < reno {
            // The Reno-friendly region (RFC 9438 §4.3): `w_est` itself keeps the fraction.
            self.state.fraction = 0.0;
            (reno - segments).max(0.0)
        } else {
            // The target a round trip ahead, as this acknowledgement's growth takes that long to
            // show; the bounds are those of RFC 9438 §4.2.
            let ahead = epoch.at(elapsed + rtt).clamp(segments, 1.5 * segments);
            (ahead - segments) * acked / segments
        };
        // The fraction is kept: rounded down at each of many small acknowledgements, a slow curve
        // would not grow at all.
        let bytes = growth * self.mss as f64 + self.state.fraction;
        let whole = bytes as u64;
        self.state.fraction = bytes - whole as f64;
        self.state.window += whole;
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
        // Fast convergence (RFC 9438 §4.7): a flow that reached less than last time yields more, so
        // that a newcomer finds room sooner.
        let losing_ground = segments < self.state.w_max;
        self.state.w_max = if losing_ground {
            segments * (1.0 + BETA) / 2.0
        } else {
            segments
        };
        // RFC 9438 §4.6 takes what was in flight. The window serves as well, since it grows only
        // while it is used (`window_was_used`).
        let reduced = (self.state.window as f64 * BETA) as u64;
        self.state.window = reduced.max(MINIMUM_WINDOW_PACKETS * self.mss);
        self.state.ssthresh = Some(self.state.window);
        self.state.epoch = None;
        self.state.fraction = 0.0;
    }

    /// Returns true if a packet sent at that time belongs to the last congestion event.
    fn is_recovering_from(&self, sent_at: Time) -> bool {
        self.recovery_start.is_some_and(|start| sent_at <= start)
    }

    fn segments(&self, bytes: u64) -> f64 {
        bytes as f64 / self.mss as f64
    }
}

impl Controller for Cubic {
    fn on_acked(&mut self, ack: &AckInfo<'_>) {
        // Growth waits for something sent after the cut (RFC 9002 §7.3.2).
        if self.is_recovering_from(ack.largest_acked_sent_at) {
            return;
        }
        self.in_recovery = false;
        if !ack.window_was_used(self.state.window) {
            // From the first idle acknowledgement on: later ones are part of the same pause.
            self.idle_since.get_or_insert(ack.now);
            return;
        }
        // The curve is a function of time: without this, an idle sender would return to a window
        // that nothing has tested (RFC 9438 §5.8).
        if let (Some(since), Some(epoch)) = (self.idle_since.take(), &mut self.state.epoch) {
            epoch.start += ack.now.saturating_since(since);
        }
        if self.in_slow_start() {
            self.slow_start(ack);
        } else {
            self.avoid(ack.now, ack.smoothed_rtt, ack.sample.newly_acked_bytes);
        }
    }

    fn on_lost(&mut self, loss: &LossInfo) {
        self.on_congestion(loss.now, loss.largest_lost_sent_at);
    }

    fn on_spurious(&mut self, _now: Time) {
        if let Some(before) = self.before.take() {
            self.state = before;
            self.recovery_start = None;
            self.in_recovery = false;
        }
    }

    fn on_persistent_congestion(&mut self, _now: Time) {
        self.state.window = MINIMUM_WINDOW_PACKETS * self.mss;
        // So far below the old curve, the next avoidance begins one of its own.
        self.state.epoch = None;
        self.state.fraction = 0.0;
        self.recovery_start = None;
        self.in_recovery = false;
        self.before = None;
    }

    fn on_ce(&mut self, now: Time, sent_at: Time) {
        self.on_congestion(now, sent_at);
        // A mark is never spurious: a packet found again later must not undo this cut.
        self.before = None;
    }

    fn on_retransmission_timeout(&mut self, now: Time) {
        // Sets the threshold first: without one, slow start would run until the next loss.
        self.on_congestion(now, now);
        self.on_persistent_congestion(now);
    }

    fn window_bytes(&self) -> u64 {
        self.state.window
    }

    fn ssthresh_bytes(&self) -> Option<u64> {
        self.state.ssthresh
    }

    fn in_slow_start(&self) -> bool {
        self.state
            .ssthresh
            .is_none_or(|ssthresh| self.state.window < ssthresh)
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

    fn on_mtu(&mut self, mss: u64) {
        let scale = self.mss as f64 / mss as f64;
        self.state.w_max *= scale;
        self.state.window = self.state.window.max(MINIMUM_WINDOW_PACKETS * mss);
        self.state.epoch = None;
        self.before = None;
        self.mss = mss;
    }
}

impl Epoch {
    /// Returns W_cubic (RFC 9438 §4.2), segments.
    fn at(&self, elapsed: Duration) -> f64 {
        let t = elapsed.as_nanos() as f64 / 1e9 - self.k;
        C * t * t * t + self.w_max
    }
}
