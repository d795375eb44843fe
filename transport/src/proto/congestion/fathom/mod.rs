//! The default controller: a model of the path instead of a reaction to every loss.
//!
//! The model is two numbers, the bandwidth of the bottleneck and the round-trip time without a
//! queue. Their product is what fits into the path; the sender paces at the first and keeps twice
//! the product in flight at most. That much is BBR v1
//! (draft-cardwell-iccrg-bbr-congestion-control-00). `docs/CONGESTION.md` explains the departures,
//! their reasons and every constant; a test holds its list against the code.
//!
//! | file | what |
//! |---|---|
//! | [`startup`], [`packet_train`], [`full_pipe`] | finding the bandwidth, and noticing that it has been found |
//! | [`probe_bw`] | the steady state: a cycle of gains that probes for more |
//! | [`probe_rtt`] | a visit to where no queue of its own can be |
//! | [`max_bandwidth`], [`min_rtt`] | the two numbers |
//! | [`random_loss`], [`share`] | how much the path loses whatever the sender does |
//! | [`standing_queue`] | a queue stands at the bottleneck, and is full |
//! | [`rtt_drop`] | round trips that become shorter by themselves |
//! | [`inflight_hi`] | the bound that losses of congestion set, a CUBIC window |
//! | [`control`] | window and pacing rate |

use std::time::Duration;

use self::full_pipe::FullPipe;
use self::inflight_hi::InflightHi;
use self::max_bandwidth::MaxBandwidth;
use self::min_rtt::MinRtt;
use self::packet_train::PacketTrain;
use self::probe_bw::{Cycle, Progress};
use self::probe_rtt::ProbeRtt;
use self::random_loss::{RandomLossEstimator, SendingRate};
use self::rtt_drop::RttDropDetector;
use super::model::{Aggregation, MINIMUM_WINDOW_PACKETS, Rounds, bytes_in};
use super::{AckInfo, Controller, LossInfo, Params, RateSample, SentInfo};
use crate::Time;
use crate::time::nanos;

mod control;
#[cfg(test)]
mod documentation;
mod full_pipe;
mod inflight_hi;
mod max_bandwidth;
mod min_rtt;
mod packet_train;
mod probe_bw;
mod probe_rtt;
mod random_loss;
mod rtt_drop;
mod share;
mod standing_queue;
mod startup;
#[cfg(test)]
mod tests;

/// Time that a quantum of the pacer is worth: a millisecond, about what timers can be trusted for.
const QUANTUM: Duration = Duration::from_millis(1);

/// Part of the least round-trip time by which a round trip must exceed it to show a queue.
const QUEUE_DIVISOR: u32 = 8;

/// Least excess that shows a queue: timers and quanta are none.
const QUEUE_LEAST: Duration = Duration::from_millis(2);

/// Round trip beyond which the queue is not of this sender's making, per mille of the least: twice
/// what fits makes at most one round trip of queue, and half of one is left for jitter.
const STALE_RTT_PERMILLE: u32 = 2500;

/// The controller.
#[derive(Clone, Debug)]
pub(super) struct Fathom {
    mss: u64,
    initial_window: u64,
    state: State,
    bandwidth: MaxBandwidth,
    min_rtt: MinRtt,
    rounds: Rounds,
    random_loss: RandomLossEstimator,
    inflight_hi: InflightHi,
    train: PacketTrain,
    full_pipe: FullPipe,
    rtt_drop: RttDropDetector,
    aggregation: Aggregation,
    /// The pipe has been full once.
    filled: bool,
    window: u64,
    /// Bytes a second; 0 before the first acknowledgement.
    pacing_rate: u64,
    /// Nothing was in flight when the last burst began.
    restarted: bool,
    /// Bytes declared lost since the connection began, and those of them that were delivered.
    declared_lost: u64,
    spurious: u64,
    next_packet_number: u64,
    /// The round in which a CE mark was last answered.
    marked_round: Option<u64>,
}

#[derive(Clone, Debug)]
enum State {
    Startup,
    Drain,
    ProbeBw(Cycle),
    ProbeRtt(ProbeRtt),
}

impl Fathom {
    pub(super) fn new(params: &Params) -> Self {
        let mss = params.mss_bytes;
        let initial_window = params.initial_window_packets.max(MINIMUM_WINDOW_PACKETS) * mss;
        Self {
            mss,
            initial_window,
            state: State::Startup,
            bandwidth: MaxBandwidth::default(),
            min_rtt: MinRtt::default(),
            rounds: Rounds::default(),
            random_loss: RandomLossEstimator::new(),
            inflight_hi: InflightHi::new(mss),
            train: PacketTrain::default(),
            full_pipe: FullPipe::default(),
            rtt_drop: RttDropDetector::default(),
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

    /// Counts what was delivered, and what had been declared lost and was delivered after all.
    fn count_outcomes(&mut self, ack: &AckInfo<'_>) {
        let packets = |bytes: u64| bytes as f64 / self.mss as f64;
        self.random_loss
            .on_delivered(ack.largest_acked, packets(ack.sample.newly_acked_bytes));
        let spurious = self.declared_lost.saturating_sub(ack.sample.total_lost);
        if spurious > self.spurious {
            self.random_loss
                .on_spurious(ack.largest_acked, packets(spurious - self.spurious));
            self.spurious = spurious;
        }
    }

    /// Adds a bandwidth sample: delivered, and lost as far as the path does that by itself.
    ///
    /// A maximum of delivered bytes alone would need a lucky round to see the whole link where a
    /// tenth is lost at random, and overshoot in the luckiest (`lossy-10pct`, `lossy-20pct`).
    fn update_bandwidth(&mut self, sample: &RateSample) {
        let interval = nanos(sample.interval);
        // Acknowledgements that came compressed make no rate: the sampler has refused the interval.
        if interval == 0 {
            return;
        }
        let delivered = sample.delivered - sample.prior_delivered;
        // Losses beyond the path's own share came with the load: they are left out, so that more
        // sending into a full queue does not look like more bandwidth.
        let explained = (delivered as f64 / (1.0 - self.random_loss.get())) as u64;
        let transmitted = (delivered + sample.lost).min(explained);
        let rate = u128::from(transmitted) * 1_000_000_000 / u128::from(interval);
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        // An application-limited sample shows a lower bound: it counts only where it raises.
        if !sample.is_app_limited || rate >= self.bandwidth.get() {
            self.bandwidth.update(rate);
        }
    }

    /// Ends a round: start-up may be over, and each estimator takes in what the round has shown.
    fn end_round(&mut self, ack: &AckInfo<'_>, min_rtt: Duration) {
        let rtt = self.rounds.last_rtt_min().unwrap_or(min_rtt);
        let queue = is_queue(rtt, min_rtt);
        if matches!(self.state, State::Startup) && !ack.sample.is_app_limited {
            self.end_startup_round(ack, queue);
        }
        let growing = matches!(self.state, State::Startup) && self.full_pipe.is_growing();
        // Older packets than a window may still be acknowledged, but their rates need not be known
        // any more.
        let oldest = ack.largest_acked.saturating_sub(self.window / self.mss);
        // Both detectors, since each misses what the other sees: the first a queue that came up
        // within the round, the second one that is shallow.
        let quiet = !queue && !self.inflight_hi.queue_was_full();
        self.random_loss.end_round(oldest, quiet, growing);
        if self.random_loss.rises_with_rate() {
            // Loss that falls when the sender slows down is of its own making (`policer`).
            self.adopt_delivered_rate(ack.next_packet_number);
        }
        self.inflight_hi.end_round(self.window);
        if rtt > min_rtt * STALE_RTT_PERMILLE / 1000 + QUEUE_LEAST {
            // Deeper than this window can make it: the link is slower than the model says
            // (`rate-steps`), and waiting ten rounds would keep the queue up all that time.
            self.bandwidth.forget_stale();
        }
        if matches!(&self.state, State::ProbeBw(cycle) if cycle.is_steady()) {
            self.rtt_drop.end_round(rtt);
        }
    }

    /// Adopts the delivered rate as the bandwidth: the losses are not the path's own.
    fn adopt_delivered_rate(&mut self, next_packet_number: u64) {
        self.bandwidth.scale(1.0 - self.random_loss.get());
        self.random_loss
            .start_over(next_packet_number, self.sending_rate());
    }

    /// Probes at once where the path has changed for the better, and enters start-up again where a
    /// probe has found more.
    fn seek_bandwidth(&mut self, ack: &AckInfo<'_>, min_rtt: Duration) {
        let rtt = ack.sample.rtt.unwrap_or(min_rtt);
        // With a queue there is nothing to seek: the link is full.
        if is_queue(rtt, min_rtt) {
            return;
        }
        let bandwidth = self.bandwidth.get();
        if let State::ProbeBw(cycle) = &mut self.state
            && cycle.is_steady()
            && self.rtt_drop.detects(rtt)
        {
            cycle.probe_now(ack.now, bandwidth);
            self.rtt_drop.forget();
        }
        // An application-limited sample shows no more than was sent: a probe has not been made.
        if !ack.sample.is_app_limited {
            self.climb();
        }
    }

    /// Enters start-up again if most of what a probe asked for came through without a queue: there
    /// is likely more, and a quarter more in each cycle of eight rounds would take long to find it
    /// (`rate-steps`, ten times up).
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
            // Both forget what the slower link has shown, or start-up would end in its first round.
            self.full_pipe = FullPipe::default();
            self.train = PacketTrain::default();
            self.state = State::Startup;
        }
    }

    /// Changes the state where its time has come.
    fn advance(&mut self, ack: &AckInfo<'_>, min_rtt: Duration) {
        let now = ack.now;
        let bandwidth = self.bandwidth.get();
        match &mut self.state {
            // Start-up is left in `end_startup_round`, `check_flood`, `on_lost` and `on_ce`: each
            // has evidence of its own.
            State::Startup => {}
            State::Drain => {
                if ack.bytes_in_flight <= self.inflight(1000) {
                    // Draining has already answered what the queue lost of the overshoot.
                    self.inflight_hi.ignore_before(ack.next_packet_number);
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
        // A sender that has just resumed after a pause has shown the path without a queue: its
        // first samples say what a visit would find.
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
        // The visit was no answer to anything: what the window had grown to still holds.
        self.window = self.window.max(visit.window_before());
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

    const fn sending_rate(&self) -> SendingRate {
        match &self.state {
            State::Startup => SendingRate::Above,
            State::ProbeBw(cycle) => cycle.sending_rate(),
            State::Drain | State::ProbeRtt(_) => SendingRate::Below,
        }
    }
}

impl Controller for Fathom {
    fn on_sent(&mut self, sent: &SentInfo) {
        self.next_packet_number = sent.packet_number + 1;
        // Nothing else is in flight: the sender resumes after a pause.
        if sent.bytes_in_flight == sent.bytes && self.filled {
            self.restarted = true;
        }
    }

    fn on_acked(&mut self, ack: &AckInfo<'_>) {
        let sample = ack.sample;
        self.count_outcomes(ack);
        self.check_flood(ack);
        let round_ended = self
            .rounds
            .update(sample.prior_delivered, sample.delivered, sample.rtt);
        // A visit to ProbeRTT keeps less in flight than fits: its rounds show nothing of the
        // bandwidth, and where the round trip is short they are more than it is remembered for.
        if round_ended && !matches!(self.state, State::ProbeRtt(_)) {
            self.bandwidth.advance();
        }
        self.update_bandwidth(sample);
        if let Some(rtt) = sample.rtt {
            self.min_rtt.update(ack.now, rtt);
        }
        let Some(min_rtt) = self.min_rtt.get() else {
            return;
        };
        self.inflight_hi.on_ack(ack);
        if matches!(self.state, State::Startup) {
            self.inflight_hi
                .climb(sample.newly_acked_bytes, self.window);
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
        self.seek_bandwidth(ack, min_rtt);
        self.advance(ack, min_rtt);
        self.update_window(ack);
        self.update_pacing(ack.smoothed_rtt);
        self.random_loss
            .on_sending_rate(ack.next_packet_number, self.sending_rate());
    }

    /// Loss alone changes nothing but the estimate of how much of it is the path's; losses of
    /// congestion bound what may be in flight.
    fn on_lost(&mut self, loss: &LossInfo) {
        self.declared_lost += loss.lost_bytes;
        self.random_loss
            .on_lost(loss.largest_lost, loss.lost_bytes as f64 / self.mss as f64);
        if let State::ProbeBw(cycle) = &mut self.state {
            cycle.on_loss();
        }
        // Start-up overshoots on purpose, so its losses are ignored. Where the path loses nothing
        // else they are considered all the same, for the sake of flows that were there before
        // (`shared-link`, `four-flows`).
        let overshoots = matches!(self.state, State::Startup | State::Drain);
        if overshoots && !self.random_loss.is_clean() {
            self.inflight_hi.ignore_before(loss.next_packet_number);
        }
        let congestion = self
            .inflight_hi
            .on_loss(loss, &self.random_loss, overshoots);
        if congestion {
            // The cut takes the queue away, this flow's part and that of every other flow that
            // answers: shorter round trips are then no sign of free bandwidth.
            self.rtt_drop.forget();
            if matches!(self.state, State::Startup) {
                self.leave_startup();
            }
        }
    }

    /// The model never changed; the bound did.
    fn on_spurious(&mut self, now: Time) {
        self.inflight_hi.on_spurious(now);
    }

    /// Nothing came through for a long time: the model may still hold, but it is tried out gently.
    /// The window doubles each round up to what the model allows (`blackout`).
    fn on_persistent_congestion(&mut self, _now: Time) {
        self.window = MINIMUM_WINDOW_PACKETS * self.mss;
    }

    fn on_ce(&mut self, now: Time, _sent_at: Time) {
        // Once a round, as RFC 3168 §6.1.2 has it: one queue marks many packets.
        let round = self.rounds.count();
        if self.marked_round.replace(round) == Some(round) {
            return;
        }
        match &mut self.state {
            State::Startup => self.leave_startup(),
            State::ProbeBw(cycle) => cycle.drain(now),
            // Both give the queue back already.
            State::Drain | State::ProbeRtt(_) => {}
        }
    }

    fn on_mtu(&mut self, mss: u64) {
        self.initial_window = self.initial_window / self.mss * mss;
        self.mss = mss;
        self.inflight_hi.set_mss(mss);
        self.window = self.window.max(MINIMUM_WINDOW_PACKETS * mss);
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
            State::ProbeBw(_) => "probe-bw",
            State::ProbeRtt(_) => "probe-rtt",
        }
    }

    fn trace_fields(&self, report: &mut dyn FnMut(&'static str, u64)) {
        report("bandwidth_bps", self.model_bandwidth().saturating_mul(8));
        report("random_loss_ppm", (self.random_loss.get() * 1e6) as u64);
        if let Some(bound) = self.inflight_hi.get() {
            report("inflight_hi_bytes", bound);
        }
    }
}

/// Returns true if a round trip so long shows a queue.
fn is_queue(rtt: Duration, min_rtt: Duration) -> bool {
    rtt > min_rtt + (min_rtt / QUEUE_DIVISOR).max(QUEUE_LEAST)
}
