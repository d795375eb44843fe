//! Window and pace: what the model of the path allows
//! (draft-cardwell-iccrg-bbr-congestion-control-00 §4.2).

use std::time::Duration;

use super::aggregation::bytes_in;
use super::{Bbr, MINIMUM_WINDOW_PACKETS, QUANTA, QUANTUM, State, scale};
use crate::proto::congestion::AckInfo;
use crate::time::nanos;

/// 2 / ln 2: the least gain that lets the rate double each round, per mille.
const STARTUP_GAIN_PERMILLE: u64 = 2885;

/// Gives back in a round what start-up put into the queue, per mille.
const DRAIN_GAIN_PERMILLE: u64 = 1_000_000 / STARTUP_GAIN_PERMILLE;

/// In flight at most, as parts of what fits, per mille: room for acknowledgements held back
/// and losses not yet noticed, and no more queue than fits behind a usual bottleneck.
const WINDOW_GAIN_PERMILLE: u64 = 2000;

/// Beside others who keep a deep queue up the window decides, and the pace is what RFC 9002 §7.7
/// gives a window, per mille.
const COMPETING_GAIN_PERMILLE: u64 = 1250;

/// In flight while looking for the least round-trip time.
const PROBE_RTT_GAIN_PERMILLE: u64 = 500;

const MAX_QUANTUM_BYTES: u64 = 64 * 1024;

/// Paces the first flight when not even the handshake told a round-trip time.
const GUESSED_RTT: Duration = Duration::from_millis(100);

/// A window a round trip, in bytes a second: what there is before the first acknowledgement.
pub(super) fn initial_rate(window: u64, smoothed_rtt: Option<Duration>) -> u64 {
    let rtt_ns = nanos(smoothed_rtt.unwrap_or(GUESSED_RTT)).max(1);
    let rate = u128::from(window) * 1_000_000_000 / u128::from(rtt_ns);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

impl Bbr {
    pub(super) fn update_window(&mut self, ack: &AckInfo<'_>) {
        let acked = ack.sample.newly_acked_bytes;
        let least = MINIMUM_WINDOW_PACKETS * self.mss;
        let target = match self.state {
            State::ProbeRtt(_) => {
                self.window = self.window.min(self.probe_rtt_window());
                return;
            }
            // Where nothing has been lost yet the window keeps up with the pace, which is what
            // finds the bandwidth: less would leave a part of each round silent.
            State::Startup if self.declared_lost == 0 => self.inflight(STARTUP_GAIN_PERMILLE),
            State::Startup => self.inflight(WINDOW_GAIN_PERMILLE),
            _ => self.inflight(WINDOW_GAIN_PERMILLE) + self.aggregation.get(),
        };
        let target = match self.hi.get() {
            Some(hi) if self.hi.competes() => hi,
            Some(hi) => hi.min(target),
            None => target,
        };
        if self.filled {
            let grown = if ack.app_limited {
                self.window
            } else {
                self.window + acked
            };
            self.window = grown.min(target).max(least);
        } else if ack.prior_bytes_in_flight >= self.window / 2 {
            // The answers to the first window show less than there is: before them hardly
            // anything was on its way.
            let most = if ack.sample.delivered < self.initial_window {
                2 * self.initial_window
            } else {
                target.max(self.initial_window)
            };
            // A train has shown that the path can do it; pacing keeps it from being a burst.
            self.window = (self.window + acked).min(most).max(target);
        }
    }

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
            State::ProbeBw(cycle) if self.hi.competes() => COMPETING_GAIN_PERMILLE,
            State::ProbeBw(cycle) => cycle.gain_permille(),
            State::ProbeRtt(_) => 1000,
        }
    }

    /// Bytes a second.
    pub(crate) fn pacing_rate(&self, smoothed_rtt: Option<Duration>) -> u64 {
        if self.pacing_rate > 0 {
            return self.pacing_rate;
        }
        let rate = initial_rate(self.initial_window, smoothed_rtt);
        scale(rate, STARTUP_GAIN_PERMILLE).max(1)
    }

    /// Bytes a second the bottleneck is believed to carry.
    pub(super) fn model_bandwidth(&self) -> u64 {
        let train = (self.train.get() as f64 / (1.0 - self.floor.get())) as u64;
        self.bandwidth.get().max(train)
    }

    /// What fits into the path, times a gain, with what is on its way through the ends.
    pub(super) fn inflight(&self, gain_permille: u64) -> u64 {
        let bandwidth = self.model_bandwidth();
        let Some(min_rtt) = self.min_rtt.get() else {
            return self.initial_window;
        };
        if bandwidth == 0 {
            return self.initial_window;
        }
        let quantum = bytes_in(bandwidth, QUANTUM).clamp(2 * self.mss, MAX_QUANTUM_BYTES);
        scale(bytes_in(bandwidth, min_rtt), gain_permille) + QUANTA * quantum
    }

    pub(super) fn probe_rtt_window(&self) -> u64 {
        self.inflight(PROBE_RTT_GAIN_PERMILLE)
            .max(MINIMUM_WINDOW_PACKETS * self.mss)
    }
}
