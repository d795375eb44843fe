//! The upper bound of what may be in flight beside other flows: a CUBIC window over the model.
//!
//! The model takes what it can transmit for what it may have. Beside a flow that answers losses,
//! that is all of it: the other one backs off, and the model grows by what it left. So once the
//! path has shown losses of congestion, the model has an upper bound (as `inflight_hi` of
//! draft-ietf-ccwg-bbr-02 §5.5) that moves as CUBIC's window does (RFC 9438): down to 0.7 in each
//! round that has such losses, up by its curve. A flow that answers the same signals in the same
//! way gets the same share.
//!
//! Two signals must agree before a loss is one of congestion:
//!
//! - *The queue is full*: one stands, as deep as queues get here ([`StandingQueueDetector`]).
//! - *More was lost than the path loses by itself*, by more than chance explains
//!   ([`RandomLossEstimator::is_exceeded`]).
//!
//! Where another flow keeps a deep queue up, the model itself is what holds back: two of its own
//! bandwidth-delay products are less than a share of that queue. There the bound alone decides
//! ([`InflightHi::competes`]). A flow that is alone again notices: its visit to `ProbeRtt` empties
//! the queue.

use super::random_loss::RandomLossEstimator;
use super::standing_queue::StandingQueueDetector;
use crate::Time;
use crate::proto::congestion::cubic::Cubic;
use crate::proto::congestion::{AckInfo, Controller, LossInfo};

/// Rounds through which a queue must stay deep before it is one that another flow keeps up: longer
/// than two cycles of this sender's own gains.
const DEEP_ROUNDS: u32 = 20;

/// Rounds without a queue after which a bound protects no other flow and grows: a cycle of gains.
const QUIET_ROUNDS: u32 = 8;

/// Part of itself by which it then grows: an eighth, as fast as gentle probes find bandwidth.
const QUIET_GROWTH_DIVISOR: u64 = 8;

/// Times that this growth doubles, once in each round that follows: to the whole of itself.
const QUIET_DOUBLINGS: u32 = 3;

/// Share of a round's packets whose loss in start-up comes of a queue that overflows, not of
/// chance: one random loss in an own queue must not end it (`long-fat`).
const FLOOD: f64 = 0.05;

/// Least packets that a round counts as for that share: sixteen losses are the least flood.
const FLOOD_PACKETS: f64 = 320.0;

/// The bound, and the signals that it considers.
#[derive(Clone, Debug)]
pub(super) struct InflightHi {
    mss: u64,
    /// `None` before the first loss of congestion.
    window: Option<Cubic>,
    queue: StandingQueueDetector,
    /// Losses of packets with lower numbers are ignored.
    ignored_until: u64,
    /// Packets delivered and lost since the round began.
    delivered: f64,
    lost: f64,
    /// Consecutive rounds without a queue.
    quiet_rounds: u32,
    /// Consecutive rounds all through which the queue was deep.
    deep_rounds: u32,
}

impl InflightHi {
    pub(super) fn new(mss: u64) -> Self {
        Self {
            mss,
            window: None,
            queue: StandingQueueDetector::default(),
            ignored_until: 0,
            delivered: 0.0,
            lost: 0.0,
            quiet_rounds: 0,
            deep_rounds: 0,
        }
    }

    /// Returns the bytes that may be in flight at most; `None` while no bound is known.
    pub(super) fn get(&self) -> Option<u64> {
        self.window.as_ref().map(Controller::window_bytes)
    }

    /// Returns true if another flow keeps a deep queue up: the bound is then no longer the most that
    /// may be in flight, but what should be.
    pub(super) const fn competes(&self) -> bool {
        self.window.is_some() && self.deep_rounds >= DEEP_ROUNDS
    }

    /// Returns true if the queue was full at some time of the present round.
    pub(super) const fn queue_was_full(&self) -> bool {
        self.queue.was_full()
    }

    /// Handles an acknowledgement: the queue is looked at, and the bound grows by its curve.
    pub(super) fn on_ack(&mut self, ack: &AckInfo<'_>) {
        if let Some(rtt) = ack.sample.rtt {
            self.queue.on_rtt(ack.now, rtt);
        }
        self.delivered += self.packets(ack.sample.newly_acked_bytes);
        if let Some(window) = &mut self.window {
            window.on_acked(ack);
        }
    }

    /// Raises the bound with a start-up that a probe has begun, while no queue stands: what it
    /// finds is free.
    pub(super) fn climb(&mut self, acked_bytes: u64, in_use: u64) {
        if !self.queue.has_stood() {
            self.raise(acked_bytes, in_use);
        }
    }

    /// Raises the bound, unless it is twice the window in use and holds nothing back: it would grow
    /// without ever having been tried.
    fn raise(&mut self, bytes: u64, in_use: u64) {
        if let Some(window) = &mut self.window
            && window.window_bytes() / 2 <= in_use
        {
            window.raise(bytes);
        }
    }

    /// Ignores losses of what has been sent so far: it overshot on purpose.
    pub(super) const fn ignore_before(&mut self, next_packet_number: u64) {
        self.ignored_until = next_packet_number;
        self.lost = 0.0;
    }

    /// Handles losses. `overshoots`: start-up fills the queue itself, and only a flood of losses
    /// counts. Returns true if they were losses of congestion.
    pub(super) fn on_loss(
        &mut self,
        loss: &LossInfo,
        random_loss: &RandomLossEstimator,
        overshoots: bool,
    ) -> bool {
        if loss.largest_lost < self.ignored_until {
            return false;
        }
        self.lost += self.packets(loss.lost_bytes);
        let in_flight = loss.bytes_in_flight + loss.lost_bytes;
        // The first packets of a round are no sample yet: what is in flight stands for it.
        let packets = (self.delivered + self.lost).max(self.packets(in_flight));
        if overshoots && self.lost < FLOOD * packets.max(FLOOD_PACKETS) {
            return false;
        }
        // Either signal alone misleads: random losses fall into full queues as well, and a burst of
        // them exceeds its share without any queue.
        if !self.queue.is_full() || !random_loss.is_exceeded(self.lost, packets) {
            return false;
        }
        // The flight in which the lost packet was sent was too much. The flight of now is what a
        // burst of losses has left of it, and would cut far deeper (`bursty`).
        let held = loss.tx_in_flight.max(in_flight);
        let window = self
            .window
            .get_or_insert_with(|| Cubic::avoiding(loss.now, self.mss, held));
        window.on_lost_within(loss, held);
        true
    }

    /// Ends a round in which the window in use was this.
    pub(super) fn end_round(&mut self, in_use: u64) {
        (self.delivered, self.lost) = (0.0, 0.0);
        let count = |rounds: u32, on: bool| if on { rounds + 1 } else { 0 };
        self.quiet_rounds = count(self.quiet_rounds, !self.queue.has_stood());
        self.deep_rounds = count(self.deep_rounds, self.queue.was_deep());
        self.queue.end_round();
        if self.quiet_rounds > QUIET_ROUNDS
            && let Some(hi) = self.get()
        {
            let doublings = (self.quiet_rounds - QUIET_ROUNDS - 1).min(QUIET_DOUBLINGS);
            self.raise((hi << doublings) / QUIET_GROWTH_DIVISOR, in_use);
        }
    }

    /// Restores the bound: every loss of the last episode was spurious.
    pub(super) fn on_spurious(&mut self, now: Time) {
        if let Some(window) = &mut self.window {
            window.on_spurious(now);
        }
    }

    /// Changes the datagram size.
    pub(super) fn set_mss(&mut self, mss: u64) {
        self.mss = mss;
        if let Some(window) = &mut self.window {
            window.on_mtu(mss);
        }
    }

    fn packets(&self, bytes: u64) -> f64 {
        bytes as f64 / self.mss as f64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::proto::congestion::fathom::random_loss::SendingRate;
    use crate::proto::recovery::RateSample;

    const MSS: u64 = 1000;
    const RTT: Duration = Duration::from_millis(100);
    const QUEUE: Duration = Duration::from_millis(50);

    /// A bound in a network that answers every tenth of a round trip, and what drives it.
    struct Path {
        hi: InflightHi,
        random_loss: RandomLossEstimator,
        now: Time,
        number: u64,
        in_flight: u64,
        overshoots: bool,
        /// The window in use; without one the bound itself.
        in_use: Option<u64>,
    }

    impl Path {
        /// A hundred packets in flight, sent at the model's rate.
        fn new() -> Self {
            let mut random_loss = RandomLossEstimator::new();
            random_loss.on_sending_rate(0, SendingRate::At);
            Self {
                hi: InflightHi::new(MSS),
                random_loss,
                now: Time::ZERO,
                number: 1000,
                in_flight: 100 * MSS,
                overshoots: false,
                in_use: None,
            }
        }

        /// Rounds with so many of a hundred packets lost at the end of each, and this much queue.
        fn rounds(&mut self, count: u64, lost: u64, queue: Duration) -> bool {
            let mut congestion = false;
            for _ in 0..count {
                for tenth in 0..10 {
                    self.now += RTT / 10;
                    self.number += 10;
                    if tenth == 9 && lost > 0 {
                        congestion |= self.lose(lost);
                    }
                    self.ack(if tenth == 9 { 10 - lost.min(10) } else { 10 }, RTT + queue);
                }
                let quiet = queue.is_zero() && !self.hi.queue_was_full();
                self.random_loss.end_round(self.number - 100, quiet, false);
                self.hi
                    .end_round(self.in_use.or_else(|| self.hi.get()).unwrap_or(0));
            }
            congestion
        }

        fn ack(&mut self, packets: u64, rtt: Duration) {
            self.random_loss
                .on_delivered(self.number - 100, packets as f64);
            let sample = RateSample {
                rtt: Some(rtt),
                newly_acked_bytes: packets * MSS,
                ..RateSample::default()
            };
            self.hi.on_ack(&AckInfo {
                now: self.now,
                sample: &sample,
                bytes_in_flight: self.in_flight,
                prior_bytes_in_flight: self.in_flight,
                largest_acked: self.number - 100,
                largest_acked_sent_at: Time::from_nanos(self.now.as_nanos() - 1),
                smoothed_rtt: rtt,
                app_limited: false,
                next_packet_number: self.number,
            });
        }

        fn lose(&mut self, packets: u64) -> bool {
            self.random_loss.on_lost(self.number - 100, packets as f64);
            let loss = LossInfo {
                now: self.now,
                lost_bytes: packets * MSS,
                largest_lost: self.number - 100,
                largest_lost_sent_at: Time::from_nanos(self.now.as_nanos() - 1),
                tx_in_flight: self.in_flight,
                lost_since_sent: packets * MSS,
                bytes_in_flight: self.in_flight - packets * MSS,
                next_packet_number: self.number,
            };
            self.hi.on_loss(&loss, &self.random_loss, self.overshoots)
        }
    }

    #[test]
    fn a_loss_with_a_full_queue_leaves_seven_tenths_of_what_was_in_flight() {
        let mut path = Path::new();
        path.rounds(5, 0, Duration::ZERO);
        assert_eq!(path.hi.get(), None);
        assert!(path.rounds(1, 3, QUEUE));
        let hi = path.hi.get().unwrap();
        // And a little growth in what was left of the round.
        assert!((70 * MSS..73 * MSS).contains(&hi), "{hi}");
    }

    #[test]
    fn what_overshot_on_purpose_is_ignored() {
        let mut path = Path::new();
        path.rounds(5, 0, Duration::ZERO);
        path.rounds(1, 0, QUEUE);
        path.hi.ignore_before(path.number);
        assert!(!path.lose(20));
        path.rounds(1, 0, QUEUE);
        assert!(path.rounds(1, 3, QUEUE));
    }

    #[test]
    fn of_an_overshooting_start_up_only_a_flood_is_considered() {
        let mut path = Path::new();
        path.overshoots = true;
        path.rounds(5, 0, Duration::ZERO);
        path.rounds(1, 0, QUEUE);
        assert!(!path.lose(12));
        assert!(path.lose(12));
    }

    #[test]
    fn losses_of_what_was_sent_before_the_cut_are_the_same_event() {
        let mut path = Path::new();
        path.rounds(5, 0, Duration::ZERO);
        path.rounds(1, 0, QUEUE);
        assert!(path.lose(3));
        let cut = path.hi.get();
        let now = path.now;
        path.now = Time::from_nanos(now.as_nanos() + 1);
        path.lose(3);
        assert_eq!(path.hi.get(), cut);
        path.now = now + RTT;
        path.lose(3);
        assert!(path.hi.get() < cut);
    }

    #[test]
    fn it_grows_as_cubic_does() {
        let mut path = Path::new();
        path.rounds(5, 0, Duration::ZERO);
        path.rounds(1, 3, QUEUE);
        // RFC 9438 §4.2: it is back where it was after the cube root of 30 / 0.4 s.
        let k = libm::cbrt(30.0 / 0.4);
        let rounds = (k / RTT.as_secs_f64()) as u64;
        path.rounds(rounds / 2, 0, QUEUE);
        let half = path.hi.get().unwrap() / MSS;
        // An eighth of the way is left at half of the time.
        assert!((94..=98).contains(&half), "{half}");
        path.rounds(rounds - rounds / 2, 0, QUEUE);
        let whole = path.hi.get().unwrap() / MSS;
        assert!((99..=101).contains(&whole), "{whole}");
        path.rounds(rounds, 0, QUEUE);
        assert!(path.hi.get().unwrap() / MSS >= 125, "beyond, as fast again");
    }

    #[test]
    fn loss_without_a_queue_is_no_congestion() {
        let mut path = Path::new();
        assert!(!path.rounds(50, 10, Duration::ZERO));
        assert_eq!(path.hi.get(), None);
    }

    #[test]
    fn loss_in_a_queue_that_has_been_deeper_is_no_congestion() {
        let mut path = Path::new();
        path.rounds(5, 0, Duration::ZERO);
        path.rounds(1, 0, QUEUE);
        assert!(!path.rounds(5, 3, QUEUE / 3));
        assert!(path.rounds(1, 3, QUEUE));
    }

    #[test]
    fn what_the_path_loses_anyway_is_no_congestion_in_a_full_queue_either() {
        let mut path = Path::new();
        path.rounds(100, 5, Duration::ZERO);
        assert!(!path.rounds(5, 5, QUEUE));
        assert!(!path.rounds(5, 9, QUEUE), "chance explains it");
        assert!(path.rounds(1, 40, QUEUE), "nothing but congestion does");
    }

    #[test]
    fn a_bound_that_protects_no_other_flow_rises() {
        let mut path = Path::new();
        path.rounds(5, 0, Duration::ZERO);
        path.rounds(1, 3, QUEUE);
        path.rounds(u64::from(QUIET_ROUNDS), 0, Duration::ZERO);
        let before = path.hi.get().unwrap();
        path.rounds(6, 0, Duration::ZERO);
        assert!(path.hi.get().unwrap() > before * 2);
    }

    #[test]
    fn a_bound_that_holds_nothing_back_stays_however_long_it_is_quiet() {
        let mut path = Path::new();
        path.rounds(5, 0, Duration::ZERO);
        path.rounds(1, 3, QUEUE);
        (path.in_use, path.in_flight) = (Some(MSS), MSS);
        path.rounds(u64::from(QUIET_ROUNDS), 0, Duration::ZERO);
        let before = path.hi.get();
        path.rounds(200, 0, Duration::ZERO);
        assert_eq!(path.hi.get(), before);
    }

    #[test]
    fn only_a_queue_that_stays_deep_is_competed_for() {
        let mut path = Path::new();
        path.rounds(5, 0, Duration::ZERO);
        path.rounds(u64::from(DEEP_ROUNDS) + 1, 0, 3 * QUEUE);
        assert!(!path.hi.competes(), "nothing has been lost");
        path.rounds(1, 3, 3 * QUEUE);
        assert!(path.hi.competes());
        path.rounds(1, 0, QUEUE);
        assert!(!path.hi.competes());
    }
}
