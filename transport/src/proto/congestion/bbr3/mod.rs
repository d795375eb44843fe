//! BBRv3 as published (draft-ietf-ccwg-bbr-02): a baseline that `fathom` is measured against.
//! Section numbers are the draft's.
//!
//! | file | what |
//! |---|---|
//! | [`bounds`] | the bounds that losses set: `inflight_hi`, `bw_lo`, `inflight_lo` |
//! | [`control`] | window and pacing rate |
//! | [`full_pipe`] | the end of start-up |
//! | [`probe`] | the phases of `ProbeBW`, and their times |
//! | [`round_trip`] | the least round-trip time |
//!
//! Departs from it in this: losses are reported for each acknowledgement, not for each packet, so
//! the threshold is looked for within all of an acknowledgement's; aggregated acknowledgements are
//! measured as `fathom` does.

mod bounds;
mod control;
mod full_pipe;
mod probe;
mod round_trip;

use std::time::Duration;

use self::bounds::Bounds;
use self::control::PACING_PERMILLE;
use self::full_pipe::FullPipe;
use self::probe::{Acks, Phase, Schedule, UpSlope};
use self::round_trip::MinRtt;
use super::model::{Aggregation, MINIMUM_WINDOW_PACKETS, Rounds, scale};
use super::{AckInfo, Controller, LossInfo, Params, RateSample, SentInfo};
use crate::Time;

/// Time spent in `ProbeRTT` (`BBR.ProbeRTTDuration`).
const PROBE_RTT_DURATION: Duration = Duration::from_millis(200);

/// Declarations of loss in a round that end start-up, if too much was lost
/// (`BBR.StartupFullLossCnt`).
const STARTUP_LOSS_EVENTS: u32 = 6;

/// The controller (§5.2).
#[derive(Clone, Debug)]
pub(super) struct Bbr3 {
    mss: u64,
    initial_window: u64,
    state: State,
    rounds: Rounds,
    /// `BBR.max_bw`: maxima of this cycle of probes and of the one before, bytes a second.
    max_bandwidth: [u64; 2],
    min_rtt: MinRtt,
    bounds: Bounds,
    full_pipe: FullPipe,
    /// `BBR.full_bw_reached`.
    filled: bool,
    aggregation: Aggregation,
    acks: Acks,
    /// `BBR.bw_probe_samples`: acknowledgements show the effect of a probe.
    probe_samples: bool,
    schedule: Schedule,
    slope: UpSlope,
    window: u64,
    /// `BBR.prior_cwnd`.
    window_before: u64,
    /// Bytes a second; 0 before the first acknowledgement.
    pacing_rate: u64,
    /// `BBR.idle_restart`.
    restarted: bool,
    next_packet_number: u64,
    /// Bytes delivered since the connection began.
    delivered: u64,
}

#[derive(Clone, Debug)]
enum State {
    Startup,
    Drain,
    ProbeBw(Phase),
    ProbeRtt {
        /// End, and round at the earliest; `None` until so little is in flight.
        ends: Option<(Time, u64)>,
    },
}

impl Bbr3 {
    pub(super) fn new(params: &Params) -> Self {
        let mss = params.mss_bytes;
        let initial_window = params.initial_window_packets.max(MINIMUM_WINDOW_PACKETS) * mss;
        Self {
            mss,
            initial_window,
            state: State::Startup,
            rounds: Rounds::default(),
            max_bandwidth: [0; 2],
            min_rtt: MinRtt::default(),
            bounds: Bounds::new(),
            full_pipe: FullPipe::default(),
            filled: false,
            aggregation: Aggregation::default(),
            acks: Acks::Init,
            probe_samples: false,
            schedule: Schedule::new(params.now, 0),
            slope: UpSlope::new(),
            window: initial_window,
            window_before: 0,
            pacing_rate: 0,
            restarted: false,
            next_packet_number: 0,
            delivered: 0,
        }
    }

    // The model of the path (§5.5).

    /// Updates the bandwidth (`BBRUpdateMaxBw`, §5.5.5).
    fn update_max_bandwidth(&mut self, sample: &RateSample, bandwidth: u64) {
        // An application-limited sample is a lower bound: it counts only where it raises the
        // maximum.
        if bandwidth >= self.max_bandwidth() || !sample.is_app_limited {
            self.max_bandwidth[0] = self.max_bandwidth[0].max(bandwidth);
        }
    }

    /// Returns `BBR.max_bw`, bytes a second.
    fn max_bandwidth(&self) -> u64 {
        self.max_bandwidth[0].max(self.max_bandwidth[1])
    }

    /// Returns the flight that a probe aims at (`BBRTargetInflight`, §5.5.10.2).
    fn target_inflight(&self) -> u64 {
        self.inflight(self.bandwidth(), 1000).min(self.window)
    }

    const fn is_probing(&self) -> bool {
        matches!(
            self.state,
            State::Startup | State::ProbeBw(Phase::Refill | Phase::Up)
        )
    }

    // Start-up and drain (§5.3.1, §5.3.2).

    /// Returns true if start-up loses too much (`BBRCheckStartupHighLoss`, §5.3.1.3).
    fn startup_lost_too_much(&self, sample: &RateSample) -> bool {
        matches!(self.state, State::Startup)
            && self.bounds.loss_events() >= STARTUP_LOSS_EVENTS
            && bounds::is_too_high(sample.lost, sample.tx_in_flight)
    }

    /// Leaves start-up where it is done (`BBRCheckStartupDone`, §5.3.1.1).
    fn check_startup(&mut self, lost_too_much: bool) {
        if !matches!(self.state, State::Startup) {
            return;
        }
        if lost_too_much {
            // The draft takes the larger one, so that losses in a shallow queue do not bound the
            // flight below what has come through.
            let fits = self.inflight(self.max_bandwidth(), 1000);
            self.bounds.inflight_hi = fits.max(self.bounds.inflight_latest());
        }
        if lost_too_much || self.full_pipe.is_full() {
            self.filled = true;
            self.state = State::Drain;
        }
    }

    /// Leaves drain where it is done (`BBRCheckDrainDone`, §5.3.2).
    fn check_drain(&mut self, ack: &AckInfo<'_>) {
        if matches!(self.state, State::Drain)
            && ack.bytes_in_flight <= self.inflight(self.max_bandwidth(), 1000)
        {
            self.begin_down(ack.now);
        }
    }

    // Probing for bandwidth (§5.3.3).

    /// Advances the cycle of phases (`BBRUpdateProbeBWCyclePhase`, §5.3.3.6).
    fn update_probe(&mut self, ack: &AckInfo<'_>, bandwidth: u64, round_start: bool) {
        self.adapt_long_term(ack, round_start);
        let State::ProbeBw(phase) = self.state else {
            return;
        };
        match phase {
            Phase::Down | Phase::Cruise => {
                let packets = self.target_inflight() / self.mss;
                if self.schedule.is_due(ack.now, packets) {
                    self.begin_refill();
                } else if phase == Phase::Down && self.is_time_to_cruise(ack.bytes_in_flight) {
                    self.state = State::ProbeBw(Phase::Cruise);
                }
            }
            Phase::Refill if round_start => {
                // After a round of refilling the acknowledgements to come are those of a full pipe,
                // the only ones whose losses say anything of the probe.
                self.probe_samples = true;
                self.begin_up(bandwidth);
            }
            Phase::Up if self.is_time_to_go_down(ack, bandwidth) => self.begin_down(ack.now),
            Phase::Refill | Phase::Up => {}
        }
    }

    /// Begins `ProbeBW_DOWN` (`BBRStartProbeBW_DOWN`).
    fn begin_down(&mut self, now: Time) {
        self.bounds.reset_signals();
        self.slope = UpSlope::new();
        self.schedule = Schedule::new(now, self.next_packet_number);
        self.acks = Acks::ProbeStopping;
        self.state = State::ProbeBw(Phase::Down);
    }

    /// Begins `ProbeBW_REFILL` (`BBRStartProbeBW_REFILL`).
    fn begin_refill(&mut self) {
        self.bounds.reset_lower();
        self.slope = UpSlope::new();
        self.acks = Acks::Refilling;
        self.state = State::ProbeBw(Phase::Refill);
    }

    /// Begins `ProbeBW_UP` (`BBRStartProbeBW_UP`).
    fn begin_up(&mut self, bandwidth: u64) {
        self.acks = Acks::ProbeStarting;
        self.full_pipe = FullPipe::since(bandwidth);
        self.state = State::ProbeBw(Phase::Up);
        self.slope.steepen(self.window);
    }

    /// Returns true if the queue is gone and room is left (`BBRIsTimeToCruise`, §5.3.3.5.1).
    fn is_time_to_cruise(&self, in_flight: u64) -> bool {
        in_flight <= self.bounds.with_headroom(self.mss, self.least_window())
            && in_flight <= self.inflight(self.max_bandwidth(), 1000)
    }

    /// Returns true if probing up finds no more (`BBRIsTimeToGoDown`, §5.3.3.5.3).
    const fn is_time_to_go_down(&mut self, ack: &AckInfo<'_>, bandwidth: u64) -> bool {
        if self.window_limits(ack) && self.window >= self.bounds.inflight_hi {
            // The bound may be what holds the bandwidth down.
            self.full_pipe = FullPipe::since(bandwidth);
            return false;
        }
        self.full_pipe.is_full()
    }

    /// Returns true if the window held the sender back (`C.is_cwnd_limited`).
    const fn window_limits(&self, ack: &AckInfo<'_>) -> bool {
        !ack.app_limited && ack.prior_bytes_in_flight + self.mss > self.window
    }

    /// Adapts the long-term bound (`BBRAdaptLongTermModel`, §5.3.3.6).
    fn adapt_long_term(&mut self, ack: &AckInfo<'_>, round_start: bool) {
        let sample = ack.sample;
        if round_start && self.acks == Acks::ProbeStarting {
            self.acks = Acks::ProbeFeedback;
        }
        if round_start && self.acks == Acks::ProbeStopping {
            self.probe_samples = false;
            self.acks = Acks::Init;
            if matches!(self.state, State::ProbeBw(_)) && !sample.is_app_limited {
                // `BBRAdvanceMaxBwFilter` (§5.5.5).
                // By cycles of probes, not by time: only a probe can confirm an older maximum.
                self.max_bandwidth = [0, self.max_bandwidth[0]];
            }
        }
        if self.check_inflight_too_high(ack.now, sample.lost, sample.tx_in_flight, sample) {
            return;
        }
        // Nothing to raise: no loss has bounded the flight yet.
        if self.bounds.inflight_hi == u64::MAX {
            return;
        }
        // This much was in flight and little of it lost: the bound was too low.
        self.bounds.inflight_hi = self.bounds.inflight_hi.max(sample.tx_in_flight);
        if matches!(self.state, State::ProbeBw(Phase::Up)) {
            if self.window_limits(ack) && self.window >= self.bounds.inflight_hi {
                let acked = sample.newly_acked_bytes;
                self.bounds.inflight_hi += self.slope.climb(acked, self.mss);
            }
            if round_start {
                self.slope.steepen(self.window);
            }
        }
    }

    /// Cuts the long-term bound if a probe lost too much (`BBRCheckInflightTooHigh`, §5.5.10.2).
    /// Returns true if too much was lost.
    fn check_inflight_too_high(
        &mut self,
        now: Time,
        lost: u64,
        in_flight: u64,
        sample: &RateSample,
    ) -> bool {
        let too_high = bounds::is_too_high(lost, in_flight);
        if too_high && self.probe_samples {
            self.handle_inflight_too_high(now, in_flight, sample.is_app_limited);
        }
        too_high
    }

    /// Cuts the long-term bound (`BBRHandleInflightTooHigh`, §5.5.10.2).
    fn handle_inflight_too_high(&mut self, now: Time, in_flight: u64, app_limited: bool) {
        self.probe_samples = false;
        // An application-limited flight is not the size that the path refused.
        if !app_limited {
            let target = self.target_inflight();
            self.bounds.cut_upper(in_flight, target);
        }
        if matches!(self.state, State::ProbeBw(Phase::Up)) {
            self.begin_down(now);
        }
    }

    // Measuring the least round-trip time (§5.3.4).

    /// Enters and leaves `ProbeRTT` (`BBRCheckProbeRTT`, §5.3.4.3).
    fn check_probe_rtt(&mut self, ack: &AckInfo<'_>) {
        let restarted = std::mem::take(&mut self.restarted);
        // Not after a pause: the first samples then show the path without a queue, and a visit
        // would find nothing better (§5.3.4.3).
        if !matches!(self.state, State::ProbeRtt { .. }) && self.min_rtt.is_expired() && !restarted
        {
            self.save_window();
            self.state = State::ProbeRtt { ends: None };
            self.acks = Acks::ProbeStopping;
        }
        let (round, low) = (self.rounds.count(), self.probe_rtt_window());
        let State::ProbeRtt { ends } = &mut self.state else {
            return;
        };
        match *ends {
            None if ack.bytes_in_flight <= low => {
                *ends = Some((ack.now + PROBE_RTT_DURATION, round + 1));
            }
            Some((at, last)) if ack.now > at && round >= last => self.exit_probe_rtt(ack.now),
            _ => {}
        }
    }

    /// Leaves `ProbeRTT` (`BBRExitProbeRTT`, §5.3.4.4).
    fn exit_probe_rtt(&mut self, now: Time) {
        self.min_rtt.probed(now);
        self.window = self.window.max(self.window_before);
        self.bounds.reset_lower();
        if self.filled {
            self.begin_down(now);
            self.state = State::ProbeBw(Phase::Cruise);
        } else {
            self.state = State::Startup;
        }
    }
}

impl Controller for Bbr3 {
    /// `BBRHandleRestartFromIdle` (§5.4.2).
    fn on_sent(&mut self, sent: &SentInfo) {
        self.next_packet_number = sent.packet_number + 1;
        // Nothing else is in flight: the sender resumes, and paces at the bandwidth, since no queue
        // is left to drain and none is wanted.
        if sent.bytes_in_flight == sent.bytes && self.filled {
            self.restarted = true;
            if matches!(self.state, State::ProbeBw(_)) {
                self.pacing_rate = scale(self.bandwidth(), PACING_PERMILLE).max(1);
            }
        }
    }

    /// `BBRUpdateModelAndState` and `BBRUpdateControlParameters` (§5.2.3).
    fn on_acked(&mut self, ack: &AckInfo<'_>) {
        let sample = ack.sample;
        let bandwidth = sample.delivery_rate_bps.unwrap_or(0) / 8;
        let delivered = sample.delivered - sample.prior_delivered;
        self.delivered = sample.delivered;
        let round_start = self
            .rounds
            .update(sample.prior_delivered, sample.delivered, sample.rtt);
        if round_start {
            self.schedule.end_round();
        }
        let loss_round_ended = self.bounds.update_latest(
            bandwidth,
            delivered,
            sample.prior_delivered,
            sample.delivered,
        );
        self.update_max_bandwidth(sample, bandwidth);
        let lost_too_much = loss_round_ended && self.startup_lost_too_much(sample);
        if loss_round_ended {
            let (probing, most) = (self.is_probing(), self.max_bandwidth());
            self.bounds.adapt_lower(probing, most, self.window);
        }
        self.aggregation.on_ack(
            ack.now,
            self.rounds.count(),
            sample.newly_acked_bytes,
            self.bandwidth(),
            self.window,
        );
        // A flat application-limited sample shows an idle application, not a full pipe.
        if bandwidth > 0 && !sample.is_app_limited {
            self.full_pipe.on_sample(bandwidth, round_start);
        }
        self.check_startup(lost_too_much);
        self.check_drain(ack);
        if self.filled {
            self.update_probe(ack, bandwidth, round_start);
        }
        self.min_rtt.update(ack.now, sample.rtt);
        self.check_probe_rtt(ack);
        if loss_round_ended {
            self.bounds.advance_latest(bandwidth, delivered);
        }
        self.update_window(ack);
        self.update_pacing(ack.smoothed_rtt);
    }

    /// `BBRHandleLostPacket` (§5.5.10.2), for all of an acknowledgement's losses.
    fn on_lost(&mut self, loss: &LossInfo) {
        self.bounds.note_loss(self.delivered);
        // Only a probe's losses show that its flight was too much.
        if !self.probe_samples {
            return;
        }
        if bounds::is_too_high(loss.lost_since_sent, loss.tx_in_flight) {
            let (in_flight, lost) = (loss.tx_in_flight, loss.lost_since_sent);
            let at = bounds::inflight_at_threshold(in_flight, lost, loss.lost_bytes);
            self.handle_inflight_too_high(loss.now, at, false);
        }
    }

    /// `BBRHandleSpuriousLossDetection` (§5.5.10.4).
    fn on_spurious(&mut self, _now: Time) {
        self.bounds.undo();
    }

    /// `BBROnEnterRTO` (§5.6.4.4).
    fn on_persistent_congestion(&mut self, _now: Time) {
        self.save_window();
        self.window = self.least_window();
    }

    /// The draft leaves ECN out: a mark counts as a loss, as RFC 3168 has it.
    fn on_ce(&mut self, _now: Time, _sent_at: Time) {
        self.bounds.note_loss(self.delivered);
    }

    fn window_bytes(&self) -> u64 {
        self.window
    }

    fn pacing_rate_bytes_per_second(&self, smoothed_rtt: Option<Duration>) -> Option<u64> {
        Some(self.pacing_rate(smoothed_rtt))
    }

    fn phase(&self) -> &'static str {
        match self.state {
            State::Startup => "startup",
            State::Drain => "drain",
            State::ProbeBw(Phase::Down) => "probe-bw-down",
            State::ProbeBw(Phase::Cruise) => "probe-bw-cruise",
            State::ProbeBw(Phase::Refill) => "probe-bw-refill",
            State::ProbeBw(Phase::Up) => "probe-bw-up",
            State::ProbeRtt { .. } => "probe-rtt",
        }
    }

    fn on_mtu(&mut self, mss: u64) {
        self.initial_window = self.initial_window / self.mss * mss;
        self.mss = mss;
        self.window = self.window.max(self.least_window());
    }
}
