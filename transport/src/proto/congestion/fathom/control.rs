//! Window and pacing rate: what the model of the path allows
//! (draft-cardwell-iccrg-bbr-congestion-control-00 §4.2).

use std::time::Duration;

use super::{Fathom, QUANTUM, State};
use crate::proto::congestion::AckInfo;
use crate::proto::congestion::model::{
    MINIMUM_WINDOW_PACKETS, QUANTA, bytes_in, initial_rate, scale,
};

/// Gain of start-up, per mille: 2 / ln 2, the least that lets the rate double each round
/// (§4.3.2.1).
const STARTUP_GAIN_PERMILLE: u64 = 2885;

/// Gain of drain, per mille: gives back in a round what start-up put into the queue (§4.3.3).
const DRAIN_GAIN_PERMILLE: u64 = 1_000_000 / STARTUP_GAIN_PERMILLE;

/// Bytes in flight at most, as parts of what fits, per mille: room for acknowledgements held back
/// and losses not yet noticed, and no more queue than fits behind a usual bottleneck (§4.2.3.2).
const WINDOW_GAIN_PERMILLE: u64 = 2000;

/// Pacing gain beside others who keep a deep queue up, per mille: there the window decides, and
/// the rate is what RFC 9002 §7.7 gives a window.
const COMPETING_GAIN_PERMILLE: u64 = 1250;

/// Bytes in flight in `ProbeRtt`, as parts of what fits, per mille (`BBR.ProbeRTTCwndGain` of
/// draft-ietf-ccwg-bbr-02 §5.3.4.2).
const PROBE_RTT_GAIN_PERMILLE: u64 = 500;

/// Largest quantum, bytes: one full GSO send.
const MAX_QUANTUM_BYTES: u64 = 64 * 1024;

impl Fathom {
    /// Sets the window after an acknowledgement.
    pub(super) fn update_window(&mut self, ack: &AckInfo<'_>) {
        let acked = ack.sample.newly_acked_bytes;
        let least = MINIMUM_WINDOW_PACKETS * self.mss;
        let target = match self.state {
            State::ProbeRtt(_) => {
                self.window = self.window.min(self.probe_rtt_window());
                return;
            }
            // While nothing has been lost the window keeps up with the pacing rate, which is what
            // finds the bandwidth: less would leave a part of each round silent. With losses it
            // does not: twice what fits is the most that is sent into a queue that overflows.
            State::Startup if self.declared_lost == 0 => self.inflight(STARTUP_GAIN_PERMILLE),
            State::Startup => self.inflight(WINDOW_GAIN_PERMILLE),
            // Aggregated acknowledgements matter only once the pipe is full: in start-up the window
            // is wide enough for them.
            State::Drain | State::ProbeBw(_) => {
                self.inflight(WINDOW_GAIN_PERMILLE) + self.aggregation.get()
            }
        };
        let target = match self.inflight_hi.get() {
            // Two of the model's bandwidth-delay products are less than a share of a deep queue
            // that others keep up (`duel` with a queue of 4 BDP): the bound alone decides.
            Some(hi) if self.inflight_hi.competes() => hi,
            Some(hi) => hi.min(target),
            None => target,
        };
        if self.filled {
            // An application-limited flight has not tried the window out (RFC 9002 §7.8).
            let grown = if ack.app_limited {
                self.window
            } else {
                self.window + acked
            };
            self.window = grown.min(target).max(least);
        } else if ack.prior_bytes_in_flight >= self.window / 2 {
            // The samples of the first window show less bandwidth than the path has: before it hardly
            // anything was in flight. The window may double whatever they show.
            let most = if ack.sample.delivered < self.initial_window {
                2 * self.initial_window
            } else {
                target.max(self.initial_window)
            };
            // At once to the target, not by what was acknowledged: a packet train has shown that
            // the path can do it, and pacing keeps it from being a burst.
            self.window = (self.window + acked).min(most).max(target);
        }
    }

    /// Sets the pacing rate after an acknowledgement.
    ///
    /// Until the pipe has been full once the rate only grows: a first sample of a few small
    /// packets shows how little there was to send, not how slow the path is (§4.2.1).
    pub(super) fn update_pacing(&mut self, smoothed_rtt: Duration) {
        let rate = scale(self.model_bandwidth(), self.pacing_gain_permille()).max(1);
        self.pacing_rate = if self.filled {
            rate
        } else {
            rate.max(self.pacing_rate(Some(smoothed_rtt)))
        };
    }

    fn pacing_gain_permille(&self) -> u64 {
        match &self.state {
            State::Startup => STARTUP_GAIN_PERMILLE,
            State::Drain => DRAIN_GAIN_PERMILLE,
            // Where the bound is the window, a cycle of gains would drain a queue that is not this
            // flow's alone: it gives its share away each time.
            State::ProbeBw(_) if self.inflight_hi.competes() => COMPETING_GAIN_PERMILLE,
            State::ProbeBw(cycle) => cycle.gain_permille(),
            State::ProbeRtt(_) => 1000,
        }
    }

    /// Returns the pacing rate, bytes a second.
    pub(super) fn pacing_rate(&self, smoothed_rtt: Option<Duration>) -> u64 {
        if self.pacing_rate > 0 {
            return self.pacing_rate;
        }
        let rate = initial_rate(self.initial_window, smoothed_rtt);
        scale(rate, STARTUP_GAIN_PERMILLE).max(1)
    }

    /// Returns the bandwidth of the bottleneck by the model, bytes a second.
    pub(super) fn model_bandwidth(&self) -> u64 {
        // A train shows what was delivered, as samples do: what the path loses by itself is added
        // here.
        let train = (self.train.get() as f64 / (1.0 - self.random_loss.get())) as u64;
        self.bandwidth.get().max(train)
    }

    /// Returns what fits into the path, times a gain, plus what is in the end systems' stacks.
    pub(super) fn inflight(&self, gain_permille: u64) -> u64 {
        let bandwidth = self.model_bandwidth();
        let Some(min_rtt) = self.min_rtt.get() else {
            return self.initial_window;
        };
        // Samples without a sound interval give a round-trip time and no bandwidth.
        if bandwidth == 0 {
            return self.initial_window;
        }
        let quantum = bytes_in(bandwidth, QUANTUM).clamp(2 * self.mss, MAX_QUANTUM_BYTES);
        scale(bytes_in(bandwidth, min_rtt), gain_permille) + QUANTA * quantum
    }

    /// Returns the window of a visit to `ProbeRtt`.
    pub(super) fn probe_rtt_window(&self) -> u64 {
        self.inflight(PROBE_RTT_GAIN_PERMILLE)
            .max(MINIMUM_WINDOW_PACKETS * self.mss)
    }
}
