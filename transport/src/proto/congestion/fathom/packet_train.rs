//! Packet trains: what a flight's acknowledgements show of the bottleneck within a round.
//!
//! A rate sample spans a round trip, so by samples alone the rate can at most double each round.
//! But the packets of a flight are themselves paced, and how far apart they are acknowledged shows
//! early in a round what the link can do (draft-misund-paced-chirping takes this further). The
//! rate of a train is bounded by the rate at which it was sent, so that compressed
//! acknowledgements cannot inflate it. It speeds start-up and nothing else.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Time;
use crate::time::nanos;

/// Least packets of a train: fewer are a quantum of the pacer and show the sender's own line rate.
const TRAIN_PACKETS: u64 = 16;

/// Least part of the round trip that a train spans: less, and timers make up much of it.
const TRAIN_RTT_DIVISOR: u32 = 8;

/// Acknowledgements remembered: those of several rounds, at some eight a round.
const MAX_POINTS: usize = 64;

/// Part of the jitter's mean that is kept with each sample, of itself plus one.
const TRAIN_JITTER_KEEP: u32 = 7;

/// One acknowledgement.
#[derive(Copy, Clone, Debug)]
struct Point {
    acked_at: Time,
    sent_at: Time,
    delivered: u64,
}

/// The rate at which acknowledgements come in while they come without a pause.
#[derive(Clone, Debug, Default)]
pub(super) struct PacketTrain {
    points: VecDeque<Point>,
    last_rtt: Option<Duration>,
    /// Mean change of the round-trip time between acknowledgements: twice what it falls, since a
    /// queue that fills makes it rise and is no jitter.
    jitter: Duration,
    max: u64,
}

impl PacketTrain {
    /// Returns bytes a second; 0 before the first train.
    pub(super) const fn get(&self) -> u64 {
        self.max
    }

    /// Handles an acknowledgement of a packet sent at `sent_at`, with `delivered` bytes so far.
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
            let change = last.saturating_sub(rtt) * 2;
            self.jitter = (self.jitter * TRAIN_JITTER_KEEP + change) / (TRAIN_JITTER_KEEP + 1);
        }
        let long_enough = |point: &&Point| {
            delivered - point.delivered >= TRAIN_PACKETS * mss
                && now.saturating_since(point.acked_at) >= min_rtt / TRAIN_RTT_DIVISOR
        };
        // The shortest train that is long enough: a longer one reaches back into a time when less
        // was sent.
        if let Some(point) = self.points.iter().rev().find(long_enough) {
            let acked = now.saturating_since(point.acked_at);
            // The longer of both spans: acknowledgements may come compressed. Jitter is added
            // because it may have brought the two ends of the train closer together.
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

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u64 = 1000;
    const RTT: Duration = Duration::from_millis(40);

    /// Packets sent every `sent_us` and acknowledged every `acked_us`.
    fn train(sent_us: u64, acked_us: u64) -> u64 {
        let mut train = PacketTrain::default();
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
        let mut train = PacketTrain::default();
        for packet in 0..TRAIN_PACKETS {
            let at = Time::ZERO + Duration::from_millis(packet);
            train.on_ack(at + RTT, at, packet * MSS, RTT, MSS);
        }
        assert_eq!(train.get(), 0);
    }
}
