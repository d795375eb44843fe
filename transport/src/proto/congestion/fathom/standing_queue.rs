//! A queue stands at the bottleneck, and is full.
//!
//! One long round trip shows nothing where packets overtake each other. A queue shows in every one
//! of several in a row, by more than they differ among themselves. It is full when it is as deep as
//! queues get on this path: a drop-tail queue loses packets then and only then, and the small queue
//! of a bandwidth probe is not mistaken for it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Time;

/// Consecutive round-trip times in each of which a queue has to show: a round's, since receivers
/// acknowledge some eight times in it.
const SAMPLES: usize = 8;

/// Least depth of a queue: timers and quanta are none.
const DEPTH_LEAST: Duration = Duration::from_millis(2);

/// Multiple of the mean difference between round-trip times that a queue has to exceed.
const JITTER_TIMES: u32 = 2;

/// Part of the jitter's mean that is kept with each sample, of itself plus one: sixteen samples'
/// memory.
const JITTER_KEEP: u32 = 15;

/// Depth of a full queue, as part of the deepest, per mille.
const FULL_PERMILLE: u32 = 500;

/// Depth of a shallow queue at most, per mille of the least round trip: twice what fits makes a
/// queue of one round trip, and a bandwidth probe a quarter more.
const SHALLOW_PERMILLE: u32 = 1250;

/// Time for which the least and the longest round trip are remembered, once to twice.
const STRETCH: Duration = Duration::from_secs(30);

/// Detects a queue, with extremes of its own: the model's least round trip is what was found last,
/// and beside a flow that keeps a queue standing, that has the queue in it.
#[derive(Clone, Debug, Default)]
pub(super) struct StandingQueueDetector {
    rtts: VecDeque<Duration>,
    /// Mean difference between one round-trip time and the next.
    jitter: Duration,
    /// Least of the last few.
    standing: Duration,
    /// Least of this stretch of time, and of the one before.
    least: [Option<Duration>; 2],
    /// Longest `standing`, likewise.
    longest: [Duration; 2],
    stretch_start: Time,
    /// At some time since the round began.
    stood: bool,
    was_shallow: bool,
    was_full: bool,
}

impl StandingQueueDetector {
    /// Adds a round-trip time.
    pub(super) fn on_rtt(&mut self, now: Time, rtt: Duration) {
        if let Some(&last) = self.rtts.back() {
            let difference = last.abs_diff(rtt);
            self.jitter = (self.jitter * JITTER_KEEP + difference) / (JITTER_KEEP + 1);
        }
        // Two stretches in turn cost two values and remember 30 to 60 s; a sliding extreme would
        // have to keep samples.
        if now.saturating_since(self.stretch_start) > STRETCH {
            self.stretch_start = now;
            self.least = [None, self.least[0]];
            self.longest = [Duration::ZERO, self.longest[0]];
        }
        if self.rtts.len() == SAMPLES {
            self.rtts.pop_front();
        }
        self.rtts.push_back(rtt);
        // The least of several: each of them has met at least this much queue.
        self.standing = self.rtts.iter().min().copied().unwrap_or(rtt);
        self.least[0] = Some(self.least[0].map_or(rtt, |least| least.min(rtt)));
        self.longest[0] = self.longest[0].max(self.standing);
        self.stood |= self.depth() > self.allowed();
        self.was_shallow |= self.depth() <= self.least() * SHALLOW_PERMILLE / 1000;
        self.was_full |= self.is_full();
    }

    /// Returns true if a queue stands, as deep as queues get here.
    pub(super) fn is_full(&self) -> bool {
        let longest = self.longest[0].max(self.longest[1]);
        let deepest = longest.saturating_sub(self.least());
        // The deepest one seen, since the size of the bottleneck's queue is unknown.
        self.depth() > self.allowed().max(deepest * FULL_PERMILLE / 1000)
    }

    /// Returns true if a queue stood at some time of the round.
    pub(super) const fn has_stood(&self) -> bool {
        self.stood
    }

    /// Returns true if all through the round it was deeper than a flow of this kind makes.
    pub(super) const fn was_deep(&self) -> bool {
        !self.was_shallow
    }

    /// Returns true if it was full at some time of the round.
    pub(super) const fn was_full(&self) -> bool {
        self.was_full
    }

    /// Begins another round.
    pub(super) const fn end_round(&mut self) {
        self.stood = false;
        self.was_shallow = false;
        self.was_full = false;
    }

    /// Least round trip that is remembered.
    fn least(&self) -> Duration {
        let least = self.least.iter().flatten().min();
        least.copied().unwrap_or(self.standing)
    }

    /// Delay of the queue that stands.
    fn depth(&self) -> Duration {
        self.standing.saturating_sub(self.least())
    }

    /// Delay that jitter and timers show without a queue.
    fn allowed(&self) -> Duration {
        (self.jitter * JITTER_TIMES).max(DEPTH_LEAST)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const RTT: Duration = Duration::from_millis(40);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A sample every 5 ms.
    fn feed(
        detector: &mut StandingQueueDetector,
        now: &mut Time,
        rtts: impl IntoIterator<Item = Duration>,
    ) {
        for rtt in rtts {
            *now += ms(5);
            detector.on_rtt(*now, rtt);
        }
    }

    #[test]
    fn a_shallow_queue_shows_where_nothing_else_moves_the_round_trip() {
        let (mut detector, mut now) = (StandingQueueDetector::default(), Time::ZERO);
        feed(&mut detector, &mut now, [RTT; 20]);
        assert!(!detector.is_full());
        feed(&mut detector, &mut now, [RTT + ms(10); SAMPLES - 1]);
        assert!(!detector.is_full(), "one short one is still among them");
        feed(&mut detector, &mut now, [RTT + ms(10)]);
        assert!(detector.is_full());
        assert!(detector.was_full() && detector.has_stood());
        detector.end_round();
        assert!(!detector.was_full() && !detector.has_stood());
    }

    #[test]
    fn a_deep_queue_is_more_than_a_model_keeps_in_flight() {
        let (mut detector, mut now) = (StandingQueueDetector::default(), Time::ZERO);
        feed(&mut detector, &mut now, [RTT; 10]);
        feed(&mut detector, &mut now, [RTT * 3; 10]);
        assert!(!detector.was_deep(), "it began without");
        detector.end_round();
        feed(&mut detector, &mut now, [RTT * 3; 10]);
        assert!(detector.was_deep());
        feed(&mut detector, &mut now, [RTT * 2; 1]);
        assert!(!detector.was_deep());
    }

    #[test]
    fn jitter_is_hardly_ever_a_full_queue() {
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (mut detector, mut now) = (StandingQueueDetector::default(), Time::ZERO);
            let mut full = 0;
            for _ in 0..2000 {
                // Two ways, each late by up to 10 ms.
                let jitter = rng.random_range(0..10_000) + rng.random_range(0..10_000);
                let rtt = RTT + Duration::from_micros(jitter);
                feed(&mut detector, &mut now, [rtt]);
                full += u32::from(detector.is_full());
            }
            assert!(full < 200, "seed {seed}: full {full} times of 2000");
        }
    }

    #[test]
    fn a_queue_half_as_deep_as_the_last_is_not_full_until_that_is_forgotten() {
        let (mut detector, mut now) = (StandingQueueDetector::default(), Time::ZERO);
        feed(&mut detector, &mut now, [RTT; 10]);
        feed(&mut detector, &mut now, [RTT + ms(40); 10]);
        assert!(detector.is_full());
        feed(&mut detector, &mut now, [RTT + ms(19); 10]);
        assert!(!detector.is_full());
        // A cycle of a queue that gets no deeper, for longer than two stretches.
        for _ in 0..700 {
            feed(&mut detector, &mut now, [RTT; 10]);
            feed(&mut detector, &mut now, [RTT + ms(19); 10]);
        }
        assert!(detector.is_full());
    }

    #[test]
    fn the_least_outlives_a_minute_with_a_queue_only_once() {
        let (mut detector, mut now) = (StandingQueueDetector::default(), Time::ZERO);
        feed(&mut detector, &mut now, [RTT; 10]);
        let standing = std::iter::repeat_n(RTT + ms(80), 200 * 29);
        feed(&mut detector, &mut now, standing);
        assert!(detector.is_full(), "it is known how short it could be");
        feed(
            &mut detector,
            &mut now,
            std::iter::repeat_n(RTT + ms(80), 200 * 35),
        );
        assert!(!detector.is_full(), "a path may become longer");
    }
}
