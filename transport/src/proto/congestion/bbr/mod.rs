//! BBR: a model of the path instead of a reaction to loss
//! (draft-cardwell-iccrg-bbr-congestion-control-00, "BBR v1").
//!
//! The model is two numbers, the bandwidth of the bottleneck and the round-trip time without
//! a queue. Their product is what fits into the path; the sender paces at the first and
//! keeps twice the product in flight at most. [`startup`] finds the bandwidth, [`probe`]
//! keeps both numbers fresh.
//!
//! Departs from the draft so that a path that loses packets at random is filled as well:
//!
//! - *What was carried, not what survived.* The bandwidth is that of packets delivered *and*
//!   lost, the lost ones counted up to the share the path loses by itself ([`loss_floor`]).
//!   Where packets are lost behind the bottleneck this is its true rate; where they are lost
//!   before it, it is the rate that fills it. Neither needs luck to reach the maximum, so the
//!   filter does not overshoot as a maximum of noisy samples does.
//! - *Loss that comes with load stays a signal*: it is left out of the bandwidth.
//! - *Loss that falls when the sender slows down* is its own: the bandwidth is what came
//!   through, and the path is learned anew (a policer).
//! - Start-up believes packet trains, and leaves after one flat round with a queue.
//! - Round trips that become shorter by themselves ([`relief`]) are looked into at once.
//! - Bandwidth that follows a probe for most of what it asked for is climbed after as in start-up.
//! - Under a queue beyond what its own window makes, old bandwidth is forgotten sooner.
//! - The look for the least round-trip time keeps half of what fits in flight, and forgets no
//!   bandwidth meanwhile.
//! - A CE mark drains the queue at once, once a round.
//! - Losses of congestion bound what is in flight as CUBIC would ([`inflight_hi`]).

use std::time::Duration;

use self::aggregation::{Aggregation, bytes_in};
use self::filters::{MaxBandwidth, MinRtt, Rounds};
use self::inflight_hi::InflightHi;
use self::loss_floor::{Load, LossFloor, MAX_FLOOR};
use self::probe::{Cycle, ProbeRtt, Progress};
use self::relief::Relief;
use self::startup::{AckTrain, FullPipe};
use super::{AckInfo, LossInfo, Params};
use crate::Time;
use crate::proto::recovery::RateSample;
use crate::time::nanos;

mod aggregation;
mod control;
mod filters;
mod inflight_hi;
mod loss_floor;
mod probe;
mod queue_witness;
mod relief;
mod startup;
pub(super) mod v3;

const MINIMUM_WINDOW_PACKETS: u64 = 4;

/// Packets leave in quanta of this duration's worth; three may be on their way through the
/// end systems.
const QUANTUM: Duration = Duration::from_millis(1);
const QUANTA: u64 = 3;

/// Round trips this much above the least mean that a queue stands: an eighth, or this.
const QUEUE_DIVISOR: u32 = 8;
const QUEUE_LEAST: Duration = Duration::from_millis(2);

#[derive(Clone, Debug)]
pub(crate) struct Bbr {
    mss: u64,
    initial_window: u64,
    state: State,
    bandwidth: MaxBandwidth,
    min_rtt: MinRtt,
    rounds: Rounds,
    floor: LossFloor,
    hi: InflightHi,
    train: AckTrain,
    full_pipe: FullPipe,
    relief: Relief,
    aggregation: Aggregation,
    /// The pipe has been full once.
    filled: bool,
    window: u64,
    /// Bytes a second; 0 before the first acknowledgement.
    pacing_rate: u64,
    /// Nothing was in flight when the last burst began.
    restarted: bool,
    declared_lost: u64,
    spurious: u64,
    next_packet_number: u64,
    /// The round in which a mark was last answered.
    marked_round: Option<u64>,
}

#[derive(Clone, Debug)]
enum State {
    Startup,
    Drain,
    ProbeBw(Cycle),
    ProbeRtt(ProbeRtt),
}

impl Bbr {
    pub(crate) fn new(params: Params, _now: Time) -> Self {
        let mss = params.mss_bytes;
        let initial_window = params.initial_window_packets.max(MINIMUM_WINDOW_PACKETS) * mss;
        Self {
            mss,
            initial_window,
            state: State::Startup,
            bandwidth: MaxBandwidth::default(),
            min_rtt: MinRtt::default(),
            rounds: Rounds::default(),
            floor: LossFloor::new(),
            hi: InflightHi::new(mss),
            train: AckTrain::default(),
            full_pipe: FullPipe::default(),
            relief: Relief::default(),
            aggregation: Aggregation::default(),
            filled: false,
            window: initial_window,
            pacing_rate: 0,
            restarted: false,
            declared_lost: 0,
            spurious: 0,
            next_packet_number: 0,
            marked_round: None,
        }
    }

    pub(crate) fn on_sent(&mut self, _now: Time, number: u64, bytes: u64, in_flight_after: u64) {
        self.next_packet_number = number + 1;
        if in_flight_after == bytes && self.filled {
            self.restarted = true;
        }
    }

    pub(crate) fn on_ack(&mut self, ack: &AckInfo<'_>) {
        let sample = ack.sample;
        self.count_fates(ack);
        if matches!(self.state, State::Startup) && self.floor.is_flooded() {
            // Until the round has ended, much more would be sent in vain.
            self.leave_startup();
            self.believe_what_came(ack.next_packet_number);
        }
        let round_ended = self
            .rounds
            .update(sample.prior_delivered, sample.delivered, sample.rtt);
        // A visit keeps less in flight than fits: it tells nothing of the bandwidth, and lasts
        // longer than this is remembered where the round trip is short.
        if round_ended && !matches!(self.state, State::ProbeRtt(_)) {
            self.bandwidth.advance();
        }
        self.update_bandwidth(sample);
        self.update_min_rtt(ack);
        let Some(min_rtt) = self.min_rtt.get() else {
            return;
        };
        self.hi.on_ack(ack);
        if matches!(self.state, State::Startup) {
            self.hi.climb(sample.newly_acked_bytes, self.window);
        }
        let bandwidth = self.bandwidth.get();
        self.aggregation.on_ack(
            ack.now,
            self.rounds.count(),
            sample.newly_acked_bytes,
            bandwidth,
            self.window,
        );
        if matches!(self.state, State::Startup) {
            let sent_at = ack.largest_acked_sent_at;
            self.train
                .on_ack(ack.now, sent_at, sample.delivered, min_rtt, self.mss);
        }
        if round_ended {
            self.end_round(ack, min_rtt);
        }
        self.follow(ack, min_rtt);
        self.advance(ack, min_rtt);
        self.update_window(ack);
        self.update_pacing(ack.smoothed_rtt);
        self.floor.on_load(ack.next_packet_number, self.load());
    }

    /// Books what was delivered, and what had been called lost and was delivered after all.
    fn count_fates(&mut self, ack: &AckInfo<'_>) {
        let packets = |bytes: u64| bytes as f64 / self.mss as f64;
        self.floor
            .on_delivered(ack.largest_acked, packets(ack.sample.newly_acked_bytes));
        let spurious = self.declared_lost.saturating_sub(ack.sample.total_lost);
        if spurious > self.spurious {
            self.floor
                .on_spurious(ack.largest_acked, packets(spurious - self.spurious));
            self.spurious = spurious;
        }
    }

    /// The rate that was carried: delivered, and lost as far as the path does that by itself.
    fn update_bandwidth(&mut self, sample: &RateSample) {
        let interval = nanos(sample.interval);
        if interval == 0 {
            return;
        }
        let delivered = sample.delivered - sample.prior_delivered;
        let explained = (delivered as f64 / (1.0 - self.floor.get())) as u64;
        let carried = (delivered + sample.lost).min(explained);
        let rate = u128::from(carried) * 1_000_000_000 / u128::from(interval);
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        if !sample.is_app_limited || rate >= self.bandwidth.get() {
            self.bandwidth.update(rate);
        }
    }

    fn update_min_rtt(&mut self, ack: &AckInfo<'_>) {
        if let Some(rtt) = ack.sample.rtt {
            self.min_rtt.update(ack.now, rtt);
        }
    }

    fn end_round(&mut self, ack: &AckInfo<'_>, min_rtt: Duration) {
        let rtt = self.rounds.last_rtt_min().unwrap_or(min_rtt);
        let queue = is_queue(rtt, min_rtt);
        if matches!(self.state, State::Startup) && !ack.sample.is_app_limited {
            let lost = self.floor.lost_in_round();
            let full = self.full_pipe.end_round(self.bandwidth.get(), queue, lost);
            if full {
                self.leave_startup();
                if lost > MAX_FLOOR {
                    self.believe_what_came(ack.next_packet_number);
                }
            }
        }
        let growing = matches!(self.state, State::Startup) && self.full_pipe.is_growing();
        let oldest = ack.largest_acked.saturating_sub(self.window / self.mss);
        let quiet = !queue && !self.hi.queue_was_full();
        self.floor.end_round(oldest, quiet, growing);
        if self.floor.rises_with_rate() {
            self.believe_what_came(ack.next_packet_number);
        }
        self.hi.end_round(self.window);
        // Twice what fits makes at most one round trip of queue; beyond that the model is off.
        if rtt > min_rtt * 5 / 2 + QUEUE_LEAST {
            self.bandwidth.forget_stale();
        }
        if matches!(&self.state, State::ProbeBw(cycle) if cycle.is_steady()) {
            self.relief.end_round(rtt);
        }
    }

    /// The path has carried what came through, and no more: the losses are not its own.
    fn believe_what_came(&mut self, next_packet_number: u64) {
        self.bandwidth.scale(1.0 - self.floor.get());
        self.floor.start_over(next_packet_number, self.load());
    }

    fn leave_startup(&mut self) {
        self.filled = true;
        self.state = State::Drain;
        self.train = AckTrain::default();
    }

    /// Looks for more at once where the path has changed for the better, and goes after what a
    /// look has found.
    fn follow(&mut self, ack: &AckInfo<'_>, min_rtt: Duration) {
        let rtt = ack.sample.rtt.unwrap_or(min_rtt);
        if is_queue(rtt, min_rtt) {
            return;
        }
        let bandwidth = self.bandwidth.get();
        if let State::ProbeBw(cycle) = &mut self.state
            && cycle.is_steady()
            && self.relief.is_shown_by(rtt)
        {
            cycle.look(ack.now, bandwidth);
            self.relief.forget();
        }
        if !ack.sample.is_app_limited {
            self.climb();
        }
    }

    /// When most of what a probe asked for came through without a queue there is more where
    /// that came from.
    fn climb(&mut self) {
        let State::ProbeBw(cycle) = &self.state else {
            return;
        };
        let Some(before) = cycle.probed_from() else {
            return;
        };
        let grown = self.bandwidth.get().saturating_mul(1000)
            >= before.max(1).saturating_mul(cycle.climb_permille());
        if grown {
            self.full_pipe = FullPipe::default();
            self.train = AckTrain::default();
            self.state = State::Startup;
        }
    }

    fn advance(&mut self, ack: &AckInfo<'_>, min_rtt: Duration) {
        let now = ack.now;
        let bandwidth = self.bandwidth.get();
        match &mut self.state {
            State::Startup => {}
            State::Drain => {
                if ack.bytes_in_flight <= self.inflight(1000) {
                    // What the queue lost of the overshoot, draining has answered.
                    self.hi.ignore_before(ack.next_packet_number);
                    self.state = self.probe_bandwidth(now);
                }
            }
            State::ProbeBw(cycle) => {
                let gain = cycle.gain_permille();
                let progress = Progress {
                    now,
                    min_rtt,
                    bandwidth,
                    prior_in_flight: ack.prior_bytes_in_flight,
                    bytes_in_flight: ack.bytes_in_flight,
                    inflight_drained: bytes_in(self.model_bandwidth(), min_rtt + QUANTUM),
                    inflight_above: self.inflight(gain),
                };
                if let State::ProbeBw(cycle) = &mut self.state {
                    cycle.advance(&progress);
                }
            }
            State::ProbeRtt(_) => self.leave_probe_rtt(ack),
        }
        let restarted = std::mem::take(&mut self.restarted);
        if self.min_rtt.is_expired(now) && !restarted && !matches!(self.state, State::ProbeRtt(_)) {
            self.state = State::ProbeRtt(ProbeRtt::new(self.window));
        }
    }

    fn leave_probe_rtt(&mut self, ack: &AckInfo<'_>) {
        let low = ack.bytes_in_flight <= self.probe_rtt_window();
        let round = self.rounds.count();
        let State::ProbeRtt(visit) = &mut self.state else {
            return;
        };
        if !visit.on_ack(ack.now, round, low, ack.sample.rtt) {
            return;
        }
        self.min_rtt.replace(ack.now, visit.rtt_min());
        self.window = self.window.max(visit.window_before);
        self.state = if self.filled {
            self.probe_bandwidth(ack.now)
        } else {
            State::Startup
        };
    }

    fn probe_bandwidth(&self, now: Time) -> State {
        State::ProbeBw(Cycle::new(
            now,
            self.next_packet_number,
            self.bandwidth.get(),
        ))
    }

    const fn load(&self) -> Load {
        match &self.state {
            State::Startup => Load::Above,
            State::ProbeBw(cycle) => cycle.load(),
            State::Drain | State::ProbeRtt(_) => Load::Below,
        }
    }

    /// Loss alone changes nothing but the estimate of how much of it is the path's; congestion
    /// bounds what may be in flight.
    pub(crate) fn on_loss(&mut self, loss: &LossInfo) {
        self.declared_lost += loss.lost_bytes;
        self.floor
            .on_lost(loss.largest_lost, loss.lost_bytes as f64 / self.mss as f64);
        if let State::ProbeBw(cycle) = &mut self.state {
            cycle.on_loss();
        }
        // Start-up overshoots by itself. Where the path loses nothing else, that is heard all the
        // same, for the sake of those who were there before.
        let overshoots = matches!(self.state, State::Startup | State::Drain);
        if overshoots && !self.floor.is_clean() {
            self.hi.ignore_before(loss.next_packet_number);
        }
        let congestion = self.hi.on_loss(loss, &self.floor, overshoots);
        if congestion {
            // The answer takes the queue away, of this flow and of whoever else has heard.
            self.relief.forget();
            if matches!(self.state, State::Startup) {
                self.leave_startup();
            }
        }
    }

    /// The model was never changed; the bound was.
    pub(crate) fn on_spurious(&mut self, now: Time) {
        self.hi.on_spurious(now);
    }

    /// Nothing came through for a long time: what is known may still hold, but it is tried
    /// out gently. The window doubles each round up to what the model allows.
    pub(crate) fn on_persistent_congestion(&mut self, _now: Time) {
        self.window = MINIMUM_WINDOW_PACKETS * self.mss;
    }

    pub(crate) fn on_ce(&mut self, now: Time, _sent_at: Time) {
        let round = self.rounds.count();
        if self.marked_round.replace(round) == Some(round) {
            return;
        }
        match &mut self.state {
            State::Startup => self.leave_startup(),
            State::ProbeBw(cycle) => cycle.drain(now),
            State::Drain | State::ProbeRtt(_) => {}
        }
    }

    pub(crate) fn on_retransmission_timeout(&mut self, now: Time) {
        self.on_persistent_congestion(now);
    }

    pub(crate) const fn window_bytes(&self) -> u64 {
        self.window
    }

    pub(crate) const fn phase(&self) -> &'static str {
        match self.state {
            State::Startup => "startup",
            State::Drain => "drain",
            State::ProbeBw(_) => "probe-bw",
            State::ProbeRtt(_) => "probe-rtt",
        }
    }

    pub(crate) fn set_mss(&mut self, mss: u64) {
        self.initial_window = self.initial_window / self.mss * mss;
        self.mss = mss;
        self.hi.set_mss(mss);
        self.window = self.window.max(MINIMUM_WINDOW_PACKETS * mss);
    }
}

/// Whether a queue stands where the round trip takes so long.
fn is_queue(rtt: Duration, min_rtt: Duration) -> bool {
    rtt > min_rtt + (min_rtt / QUEUE_DIVISOR).max(QUEUE_LEAST)
}

fn scale(value: u64, permille: u64) -> u64 {
    let scaled = u128::from(value) * u128::from(permille) / 1000;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
