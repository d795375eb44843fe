//! Window and pacing rate (draft-ietf-ccwg-bbr-02 §5.6).

use std::time::Duration;

use super::probe::Phase;
use super::{Bbr3, State};
use crate::proto::congestion::AckInfo;
use crate::proto::congestion::model::{
    MINIMUM_WINDOW_PACKETS, QUANTA, bytes_in, initial_rate, scale,
};
use crate::proto::send::Pacer;

/// `BBR.StartupPacingGain`, 4 ln 2, per mille (§5.3.1.1).
const STARTUP_GAIN_PERMILLE: u64 = 2773;

/// `BBR.DrainPacingGain`, per mille (§5.3.2).
const DRAIN_GAIN_PERMILLE: u64 = 500;

/// `BBR.DefaultCwndGain`, per mille.
const WINDOW_GAIN_PERMILLE: u64 = 2000;

/// `BBR.ProbeRTTCwndGain`, per mille (§5.3.4.2).
const PROBE_RTT_GAIN_PERMILLE: u64 = 500;

/// Pacing rate as a part of the bandwidth, per mille, so that rounding builds no queue
/// (`BBR.PacingMarginPercent`).
pub(super) const PACING_PERMILLE: u64 = 990;

impl Bbr3 {
    /// Saves the window, to be restored later (`BBRSaveCwnd`, §5.6.4.4).
    pub(super) fn save_window(&mut self) {
        let probing_rtt = matches!(self.state, State::ProbeRtt { .. });
        self.window_before = if probing_rtt {
            self.window_before.max(self.window)
        } else {
            self.window
        };
    }

    /// Sets the window after an acknowledgement (`BBRSetCwnd`, §5.6.4.6).
    pub(super) fn update_window(&mut self, ack: &AckInfo<'_>) {
        let acked = ack.sample.newly_acked_bytes;
        let gain = match self.state {
            State::ProbeBw(phase) => phase.window_permille(),
            State::ProbeRtt { .. } => PROBE_RTT_GAIN_PERMILLE,
            State::Startup | State::Drain => WINDOW_GAIN_PERMILLE,
        };
        let most = self.inflight(self.bandwidth(), gain) + self.aggregation.get();
        // Before the pipe is full the window may pass `most`: that comes of a bandwidth which is
        // still growing.
        if self.filled {
            self.window = (self.window + acked).min(most);
        } else if self.window < most || ack.sample.delivered < self.initial_window {
            self.window += acked;
        }
        self.window = self.window.max(self.least_window());
        if matches!(self.state, State::ProbeRtt { .. }) {
            self.window = self.window.min(self.probe_rtt_window());
        }
        self.bound_window();
    }

    /// Keeps the window within the bounds (`BBRBoundCwndForModel`, §5.6.4.7).
    pub(super) fn bound_window(&mut self) {
        let least = self.least_window();
        let headroom = self.bounds.with_headroom(self.mss, least);
        let most = match self.state {
            // Only the phases that do not probe leave room for others; the rest would never find
            // out whether the bound still holds.
            State::ProbeBw(Phase::Cruise) | State::ProbeRtt { .. } => headroom,
            State::ProbeBw(_) => self.bounds.inflight_hi,
            State::Startup | State::Drain => u64::MAX,
        };
        let most = most.min(self.bounds.inflight_lo).max(least);
        self.window = self.window.min(most);
    }

    /// Sets the pacing rate after an acknowledgement (`BBRSetPacingRate`, §5.6.2).
    pub(super) fn update_pacing(&mut self, smoothed_rtt: Duration) {
        let gain = match self.state {
            State::Startup => STARTUP_GAIN_PERMILLE,
            State::Drain => DRAIN_GAIN_PERMILLE,
            State::ProbeBw(phase) => phase.pacing_permille(),
            State::ProbeRtt { .. } => 1000,
        };
        // At least 1: a rate of 0 means that none is known yet.
        let rate = scale(scale(self.bandwidth(), gain), PACING_PERMILLE).max(1);
        self.pacing_rate = if self.filled {
            rate
        } else {
            // Before the pipe is full the rate only grows: the first samples show how little was in
            // flight.
            rate.max(self.pacing_rate(Some(smoothed_rtt)))
        };
    }

    /// Returns bytes a second; before the first acknowledgement `BBRInitPacingRate` (§5.6.2).
    pub(super) fn pacing_rate(&self, smoothed_rtt: Option<Duration>) -> u64 {
        if self.pacing_rate > 0 {
            return self.pacing_rate;
        }
        let rate = initial_rate(self.initial_window, smoothed_rtt);
        scale(rate, STARTUP_GAIN_PERMILLE).max(1)
    }

    /// Returns `BBR.bw` (`BBRBoundBWForModel`, §5.5.6), bytes a second.
    pub(super) fn bandwidth(&self) -> u64 {
        self.max_bandwidth().min(self.bounds.bandwidth_lo)
    }

    /// Returns what fits at that bandwidth, times a gain, and at least three quanta
    /// (`BBRInflight`, §5.6.4.2).
    pub(super) fn inflight(&self, bandwidth: u64, gain_permille: u64) -> u64 {
        let Some(min_rtt) = self.min_rtt.get().filter(|_| bandwidth > 0) else {
            return self.initial_window;
        };
        let quanta = QUANTA * Pacer::quantum_bytes(self.pacing_rate, self.mss);
        scale(bytes_in(bandwidth, min_rtt), gain_permille)
            .max(quanta)
            .max(self.least_window())
    }

    /// Returns the window of `ProbeRTT` (`BBRProbeRTTCwnd`, §5.6.4.5).
    pub(super) fn probe_rtt_window(&self) -> u64 {
        self.inflight(self.bandwidth(), PROBE_RTT_GAIN_PERMILLE)
    }

    /// Returns the least window, bytes.
    pub(super) const fn least_window(&self) -> u64 {
        MINIMUM_WINDOW_PACKETS * self.mss
    }
}
