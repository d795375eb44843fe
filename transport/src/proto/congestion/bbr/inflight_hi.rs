//! The most that may be in flight beside others: a CUBIC window over the model.
//!
//! The model takes what it can carry for what it may have. Beside a flow that answers losses,
//! that is all of it: the other one backs off, the model grows by what it left. So once the
//! path has shown losses of congestion, the model has an upper bound (as `inflight_hi` of
//! draft-ietf-ccwg-bbr §5.5) that moves as CUBIC's window does (RFC 9438): down to 0.7 with
//! each round that has such losses, up by its curve. Who answers the same signals in the same
//! way gets the same share.
//!
//! Two witnesses are asked for before a loss is one of congestion:
//!
//! - *The queue is full*: a queue stands, and is as deep as queues get here ([`QueueWitness`]).
//! - *More was lost than the path loses by itself*, by more than chance explains
//!   ([`LossFloor::is_exceeded`]).
//!
//! Where somebody keeps a deep queue up, the model itself is what holds back: two of its own
//! bandwidth-delay products are less than a share of that queue. There the window alone
//! decides ([`InflightHi::competes`]). A flow that is alone again notices: its look for the
//! least round-trip time empties the queue.

use super::loss_floor::LossFloor;
use super::queue_witness::QueueWitness;
use crate::Time;
use crate::proto::congestion::cubic::Cubic;
use crate::proto::congestion::{AckInfo, LossInfo};

/// A queue deeper than our own that stands for so many rounds is kept up by somebody.
const DEEP_ROUNDS: u32 = 20;

/// A bound under which no queue has stood for so many rounds protects nobody,
const QUIET_ROUNDS: u32 = 8;

/// and grows: by an eighth, as fast as probing finds bandwidth, by twice as much in each round
/// that follows, and at most twofold.
const QUIET_GROWTH_DIVISOR: u64 = 8;
const QUIET_DOUBLINGS: u32 = 3;

/// So large a part of a round's losses comes of a queue that is run over, not of chance,
const FLOOD: f64 = 0.05;

/// of a round of at least so many packets.
const FLOOD_PACKETS: f64 = 320.0;

/// The bound, and what it listens for.
#[derive(Clone, Debug)]
pub(super) struct InflightHi {
    mss: u64,
    /// Nothing before the first loss of congestion.
    window: Option<Cubic>,
    queue: QueueWitness,
    /// What becomes of packets with lower numbers tells nothing.
    deaf_until: u64,
    /// Packets delivered and lost since the round began.
    delivered: f64,
    lost: f64,
    /// Rounds without a queue, one after the other.
    quiet_rounds: u32,
    /// Rounds all through which the queue was deep, one after the other.
    deep_rounds: u32,
}

impl InflightHi {
    pub(super) fn new(mss: u64) -> Self {
        Self {
            mss,
            window: None,
            queue: QueueWitness::default(),
            deaf_until: 0,
            delivered: 0.0,
            lost: 0.0,
            quiet_rounds: 0,
            deep_rounds: 0,
        }
    }

    /// Bytes that may be in flight at most; nothing while no bound is known.
    pub(super) fn get(&self) -> Option<u64> {
        self.window.as_ref().map(Cubic::window_bytes)
    }

    /// Somebody keeps a deep queue up: the bound is no longer the most, but what there should be.
    pub(super) const fn competes(&self) -> bool {
        self.window.is_some() && self.deep_rounds >= DEEP_ROUNDS
    }

    /// The queue was full at some time of the present round.
    pub(super) const fn queue_was_full(&self) -> bool {
        self.queue.was_full()
    }

    pub(super) fn on_ack(&mut self, ack: &AckInfo<'_>) {
        if let Some(rtt) = ack.sample.rtt {
            self.queue.on_rtt(ack.now, rtt);
        }
        self.delivered += self.packets(ack.sample.newly_acked_bytes);
        if let Some(window) = &mut self.window {
            window.on_ack(ack);
        }
    }

    /// A probe has found more, and start-up goes after it: the bound goes along while no queue
    /// stands.
    pub(super) fn climb(&mut self, acked_bytes: u64, in_use: u64) {
        if !self.queue.has_stood() {
            self.raise(acked_bytes, in_use);
        }
    }

    /// Raises the bound, unless it is twice the window in use and holds nobody back.
    fn raise(&mut self, bytes: u64, in_use: u64) {
        if let Some(window) = &mut self.window
            && window.window_bytes() / 2 <= in_use
        {
            window.raise(bytes);
        }
    }

    /// What has been sent so far overshot on purpose: its losses are not heard.
    pub(super) const fn ignore_before(&mut self, next_packet_number: u64) {
        self.deaf_until = next_packet_number;
        self.lost = 0.0;
    }

    /// `floor`: what the path loses by itself. `overshoots`: start-up fills the queue itself,
    /// and only a flood of losses counts. Whether it was congestion.
    pub(super) fn on_loss(&mut self, loss: &LossInfo, floor: &LossFloor, overshoots: bool) -> bool {
        if loss.largest_lost < self.deaf_until {
            return false;
        }
        self.lost += self.packets(loss.lost_bytes);
        let in_flight = loss.bytes_in_flight + loss.lost_bytes;
        // The first packets of a round are no sample yet.
        let packets = (self.delivered + self.lost).max(self.packets(in_flight));
        if overshoots && self.lost < FLOOD * packets.max(FLOOD_PACKETS) {
            return false;
        }
        if !self.queue.is_full() || !floor.is_exceeded(self.lost, packets) {
            return false;
        }
        // What was in flight when it was sent was too much. What is left behind a burst of losses
        // says nothing.
        let held = loss.tx_in_flight.max(in_flight);
        let window = self
            .window
            .get_or_insert_with(|| Cubic::avoiding(self.mss, held));
        window.on_loss_within(loss, held);
        true
    }

    /// A round is over; the window in use is told.
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

    pub(super) fn on_spurious(&mut self, now: Time) {
        if let Some(window) = &mut self.window {
            window.on_spurious(now);
        }
    }

    pub(super) fn set_mss(&mut self, mss: u64) {
        self.mss = mss;
        if let Some(window) = &mut self.window {
            window.set_mss(mss);
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
    use crate::proto::congestion::bbr::loss_floor::Load;
    use crate::proto::recovery::RateSample;

    const MSS: u64 = 1000;
    const RTT: Duration = Duration::from_millis(100);
    const QUEUE: Duration = Duration::from_millis(50);

    /// A bound in a network that answers every tenth of a round trip, and what drives it.
    struct Path {
        hi: InflightHi,
        floor: LossFloor,
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
            let mut floor = LossFloor::new();
            floor.on_load(0, Load::At);
            Self {
                hi: InflightHi::new(MSS),
                floor,
                now: Time::ZERO,
                number: 1000,
                in_flight: 100 * MSS,
                overshoots: false,
                in_use: None,
            }
        }

        /// Rounds with so many of a hundred packets lost at the end of each, and this much queue.
        fn rounds(&mut self, count: u64, lost: u64, queue: Duration) -> bool {
            let mut heard = false;
            for _ in 0..count {
                for tenth in 0..10 {
                    self.now += RTT / 10;
                    self.number += 10;
                    if tenth == 9 && lost > 0 {
                        heard |= self.lose(lost);
                    }
                    self.ack(if tenth == 9 { 10 - lost.min(10) } else { 10 }, RTT + queue);
                }
                let quiet = queue.is_zero() && !self.hi.queue_was_full();
                self.floor.end_round(self.number - 100, quiet, false);
                self.hi
                    .end_round(self.in_use.or_else(|| self.hi.get()).unwrap_or(0));
            }
            heard
        }

        fn ack(&mut self, packets: u64, rtt: Duration) {
            self.floor.on_delivered(self.number - 100, packets as f64);
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
            self.floor.on_lost(self.number - 100, packets as f64);
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
            self.hi.on_loss(&loss, &self.floor, self.overshoots)
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
    fn what_overshot_on_purpose_is_not_heard() {
        let mut path = Path::new();
        path.rounds(5, 0, Duration::ZERO);
        path.rounds(1, 0, QUEUE);
        path.hi.ignore_before(path.number);
        assert!(!path.lose(20));
        path.rounds(1, 0, QUEUE);
        assert!(path.rounds(1, 3, QUEUE));
    }

    #[test]
    fn of_an_overshooting_start_up_only_a_flood_is_heard() {
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
    fn a_bound_that_protects_nobody_rises() {
        let mut path = Path::new();
        path.rounds(5, 0, Duration::ZERO);
        path.rounds(1, 3, QUEUE);
        path.rounds(u64::from(QUIET_ROUNDS), 0, Duration::ZERO);
        let before = path.hi.get().unwrap();
        path.rounds(6, 0, Duration::ZERO);
        assert!(path.hi.get().unwrap() > before * 2);
    }

    #[test]
    fn a_bound_that_holds_nobody_back_stays_however_long_it_is_quiet() {
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
        assert!(!path.hi.competes(), "nobody has lost anything");
        path.rounds(1, 3, 3 * QUEUE);
        assert!(path.hi.competes());
        path.rounds(1, 0, QUEUE);
        assert!(!path.hi.competes());
    }
}
