//! Start-up: finding the bandwidth, and noticing that it has been found.
//!
//! A rate sample spans a round trip, so by samples alone the rate can double each round. But
//! the packets of a flight are themselves paced, and how far apart they are acknowledged
//! shows early on in a round what the link can do (packet trains; draft-misund-paced-chirping
//! takes this further). The rate of a train is bounded by the rate it was sent at, so that
//! compressed acknowledgements cannot inflate it. It speeds start-up and nothing else.

use std::collections::VecDeque;
use std::time::Duration;

use super::loss_floor::MAX_FLOOR;
use crate::Time;
use crate::time::nanos;

/// A train of fewer packets shows too little.
const TRAIN_PACKETS: u64 = 16;

/// And it spans at least this part of the round trip.
const TRAIN_RTT_DIVISOR: u32 = 8;

/// Acknowledgements remembered.
const MAX_POINTS: usize = 64;

/// Bandwidth that grew less than this in a round has stopped growing, per mille.
const GROWTH_PERMILLE: u64 = 1250;

/// So many rounds without growth fill the pipe (draft-cardwell-iccrg-bbr-00 §4.3.2.2).
const FLAT_ROUNDS: u32 = 3;

/// One acknowledgement.
#[derive(Copy, Clone, Debug)]
struct Point {
    acked_at: Time,
    sent_at: Time,
    delivered: u64,
}

/// The rate at which acknowledgements come in while they come without a pause.
#[derive(Clone, Debug, Default)]
pub(super) struct AckTrain {
    points: VecDeque<Point>,
    last_rtt: Option<Duration>,
    /// How much the round-trip time moves between acknowledgements: twice what it falls, since
    /// a queue that fills makes it rise and is no jitter.
    jitter: Duration,
    max: u64,
}

impl AckTrain {
    /// Bytes a second; 0 before there was a train.
    pub(super) const fn get(&self) -> u64 {
        self.max
    }

    pub(super) fn on_ack(
        &mut self,
        now: Time,
        sent_at: Time,
        delivered: u64,
        min_rtt: Duration,
        mss: u64,
    ) {
        let rtt = now.saturating_since(sent_at);
        if let Some(last) = self.last_rtt.replace(rtt) {
            self.jitter = (self.jitter * 7 + last.saturating_sub(rtt) * 2) / 8;
        }
        let long_enough = |point: &&Point| {
            delivered - point.delivered >= TRAIN_PACKETS * mss
                && now.saturating_since(point.acked_at) >= min_rtt / TRAIN_RTT_DIVISOR
        };
        if let Some(point) = self.points.iter().rev().find(long_enough) {
            let acked = now.saturating_since(point.acked_at);
            let span = acked.max(sent_at.saturating_since(point.sent_at)) + self.jitter;
            let bytes = u128::from(delivered - point.delivered);
            let rate = bytes * 1_000_000_000 / u128::from(nanos(span).max(1));
            self.max = self.max.max(u64::try_from(rate).unwrap_or(u64::MAX));
        }
        if self.points.len() == MAX_POINTS {
            self.points.pop_front();
        }
        self.points.push_back(Point {
            acked_at: now,
            sent_at,
            delivered,
        });
    }
}

/// More loss than this, beyond what there was when bandwidth last grew, comes of sending more.
const FLOOD: f64 = 0.4;

/// Tells when more sending no longer brings more bandwidth.
#[derive(Clone, Debug, Default)]
pub(super) struct FullPipe {
    bandwidth: u64,
    flat_rounds: u32,
    /// The share lost in the last round in which bandwidth grew.
    lost: f64,
}

impl FullPipe {
    /// A round ended with this bandwidth known; `queue`: one stood all through it; `lost`: this
    /// share of its packets was. One flat round will do if there is a queue as well, or a flood
    /// of losses, or more loss than a path has by itself: two witnesses.
    pub(super) fn end_round(&mut self, bandwidth: u64, queue: bool, lost: f64) -> bool {
        if bandwidth.saturating_mul(1000) >= self.bandwidth.saturating_mul(GROWTH_PERMILLE) {
            self.bandwidth = bandwidth;
            self.flat_rounds = 0;
            self.lost = lost;
            return false;
        }
        self.flat_rounds += 1;
        queue || lost > (self.lost + FLOOD).min(MAX_FLOOR) || self.flat_rounds >= FLAT_ROUNDS
    }

    /// Bandwidth grew in the last round.
    pub(super) const fn is_growing(&self) -> bool {
        self.flat_rounds == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u64 = 1000;
    const RTT: Duration = Duration::from_millis(40);

    /// Packets sent every `sent_us` and acknowledged every `acked_us`.
    fn train(sent_us: u64, acked_us: u64) -> u64 {
        let mut train = AckTrain::default();
        for packet in 0..200 {
            let sent_at = Time::from_nanos(packet * sent_us * 1000);
            let acked_at = Time::ZERO + RTT + Duration::from_micros(packet * acked_us);
            train.on_ack(acked_at.max(sent_at + RTT), sent_at, packet * MSS, RTT, MSS);
        }
        train.get()
    }

    #[test]
    fn a_train_shows_the_bottleneck_not_the_sender() {
        let rate = train(10, 100);
        assert!((9_900_000..=10_000_000).contains(&rate), "{rate}");
    }

    #[test]
    fn compressed_acknowledgements_show_no_more_than_was_sent() {
        assert!(train(100, 1) <= 10_000_000);
    }

    #[test]
    fn a_few_packets_are_no_train() {
        let mut train = AckTrain::default();
        for packet in 0..TRAIN_PACKETS {
            let at = Time::ZERO + Duration::from_millis(packet);
            train.on_ack(at + RTT, at, packet * MSS, RTT, MSS);
        }
        assert_eq!(train.get(), 0);
    }

    #[test]
    fn the_pipe_is_full_after_three_flat_rounds_or_one_with_a_queue_or_a_flood_of_losses() {
        let mut pipe = FullPipe::default();
        assert!(!pipe.end_round(100, true, 0.0));
        assert!(!pipe.end_round(126, true, 0.0));
        assert!(!pipe.end_round(130, false, 0.0));
        assert!(!pipe.end_round(130, false, 0.0));
        assert!(pipe.end_round(130, false, 0.0));
        let mut pipe = FullPipe::default();
        assert!(!pipe.end_round(100, true, 0.0));
        assert!(pipe.end_round(110, true, 0.0));
        let mut pipe = FullPipe::default();
        assert!(!pipe.end_round(100, false, 0.3));
        assert!(!pipe.end_round(110, false, 0.5));
        assert!(pipe.end_round(110, false, 0.75));
        // No path loses most of what is sent by itself.
        let mut pipe = FullPipe::default();
        assert!(!pipe.end_round(100, false, 0.9));
        assert!(pipe.end_round(110, false, 0.6));
    }
}
