//! Whether a queue stands at the bottleneck, and whether it is full.
//!
//! One long round trip tells nothing where packets overtake each other. A queue shows in every
//! one of several in a row, by more than they differ among themselves. Full it is when it is
//! as deep as queues get on this path: a drop-tail queue loses packets then and only then, and
//! the little queue of a look for bandwidth is not mistaken for it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Time;

/// A queue has to show in each of so many round-trip times: a round's, since receivers
/// acknowledge some eight times in it.
const WITNESSES: usize = 8;

/// And by more than this: timers and quanta are no queue.
const QUEUE_LEAST: Duration = Duration::from_millis(2);

/// And by more than so many times what one round-trip time differs from the next.
const JITTER_TIMES: u32 = 2;

/// Of the jitter's mean, what is kept with each sample: sixteen samples' memory.
const JITTER_KEEP: u32 = 15;

/// A full queue is at least this part as deep as the deepest, per mille.
const FULL_PERMILLE: u32 = 500;

/// The least and the longest round trip are remembered for one to two times as long.
const STRETCH: Duration = Duration::from_secs(30);

/// It remembers the least and the longest round trip for itself and for long: what the model
/// calls the least is what it last found, and beside a flow that keeps a queue standing, that
/// has the queue in it.
#[derive(Clone, Debug, Default)]
pub(super) struct QueueWitness {
    rtts: VecDeque<Duration>,
    /// The mean difference between one and the next.
    jitter: Duration,
    /// The least of the last few.
    standing: Duration,
    /// The least of this stretch of time, and of the one before.
    least: [Option<Duration>; 2],
    /// The longest of what stood, likewise.
    longest: [Duration; 2],
    stretch_start: Time,
    /// Since the round began, at some time.
    stood: bool,
    was_shallow: bool,
    was_full: bool,
}

impl QueueWitness {
    pub(super) fn on_rtt(&mut self, now: Time, rtt: Duration) {
        if let Some(&last) = self.rtts.back() {
            let difference = last.abs_diff(rtt);
            self.jitter = (self.jitter * JITTER_KEEP + difference) / (JITTER_KEEP + 1);
        }
        if now.saturating_since(self.stretch_start) > STRETCH {
            self.stretch_start = now;
            self.least = [None, self.least[0]];
            self.longest = [Duration::ZERO, self.longest[0]];
        }
        if self.rtts.len() == WITNESSES {
            self.rtts.pop_front();
        }
        self.rtts.push_back(rtt);
        self.standing = self.rtts.iter().min().copied().unwrap_or(rtt);
        self.least[0] = Some(self.least[0].map_or(rtt, |least| least.min(rtt)));
        self.longest[0] = self.longest[0].max(self.standing);
        self.stood |= self.depth() > self.allowed();
        self.was_shallow |= self.depth() * 4 <= self.least() * 5;
        self.was_full |= self.is_full();
    }

    /// Whether a queue stands, as deep as queues get here.
    pub(super) fn is_full(&self) -> bool {
        let longest = self.longest[0].max(self.longest[1]);
        let deepest = longest.saturating_sub(self.least());
        self.depth() > self.allowed().max(deepest * FULL_PERMILLE / 1000)
    }

    /// A queue stood at some time of the round.
    pub(super) const fn has_stood(&self) -> bool {
        self.stood
    }

    /// All through the round there was one deeper than a flow of ours makes.
    pub(super) const fn was_deep(&self) -> bool {
        !self.was_shallow
    }

    /// It was full at some time of the round.
    pub(super) const fn was_full(&self) -> bool {
        self.was_full
    }

    /// Another round begins.
    pub(super) const fn end_round(&mut self) {
        self.stood = false;
        self.was_shallow = false;
        self.was_full = false;
    }

    fn least(&self) -> Duration {
        let least = self.least.iter().flatten().min();
        least.copied().unwrap_or(self.standing)
    }

    /// The queue that stands.
    fn depth(&self) -> Duration {
        self.standing.saturating_sub(self.least())
    }

    /// What jitter and timers make of no queue.
    fn allowed(&self) -> Duration {
        (self.jitter * JITTER_TIMES).max(QUEUE_LEAST)
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
    fn tell(witness: &mut QueueWitness, now: &mut Time, rtts: impl IntoIterator<Item = Duration>) {
        for rtt in rtts {
            *now += ms(5);
            witness.on_rtt(*now, rtt);
        }
    }

    #[test]
    fn a_shallow_queue_shows_where_nothing_else_moves_the_round_trip() {
        let (mut witness, mut now) = (QueueWitness::default(), Time::ZERO);
        tell(&mut witness, &mut now, [RTT; 20]);
        assert!(!witness.is_full());
        tell(&mut witness, &mut now, [RTT + ms(10); WITNESSES - 1]);
        assert!(!witness.is_full(), "one short one is still among them");
        tell(&mut witness, &mut now, [RTT + ms(10)]);
        assert!(witness.is_full());
        assert!(witness.was_full() && witness.has_stood());
        witness.end_round();
        assert!(!witness.was_full() && !witness.has_stood());
    }

    #[test]
    fn a_deep_queue_is_more_than_a_model_keeps_in_flight() {
        let (mut witness, mut now) = (QueueWitness::default(), Time::ZERO);
        tell(&mut witness, &mut now, [RTT; 10]);
        tell(&mut witness, &mut now, [RTT * 3; 10]);
        assert!(!witness.was_deep(), "it began without");
        witness.end_round();
        tell(&mut witness, &mut now, [RTT * 3; 10]);
        assert!(witness.was_deep());
        tell(&mut witness, &mut now, [RTT * 2; 1]);
        assert!(!witness.was_deep());
    }

    #[test]
    fn jitter_is_hardly_ever_a_full_queue() {
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (mut witness, mut now) = (QueueWitness::default(), Time::ZERO);
            let mut full = 0;
            for _ in 0..2000 {
                // Two ways, each late by up to 10 ms.
                let jitter = rng.random_range(0..10_000) + rng.random_range(0..10_000);
                let rtt = RTT + Duration::from_micros(jitter);
                tell(&mut witness, &mut now, [rtt]);
                full += u32::from(witness.is_full());
            }
            assert!(full < 200, "seed {seed}: full {full} times of 2000");
        }
    }

    #[test]
    fn a_queue_half_as_deep_as_the_last_is_not_full_until_that_is_forgotten() {
        let (mut witness, mut now) = (QueueWitness::default(), Time::ZERO);
        tell(&mut witness, &mut now, [RTT; 10]);
        tell(&mut witness, &mut now, [RTT + ms(40); 10]);
        assert!(witness.is_full());
        tell(&mut witness, &mut now, [RTT + ms(19); 10]);
        assert!(!witness.is_full());
        // A cycle of a queue that gets no deeper, for longer than two stretches.
        for _ in 0..700 {
            tell(&mut witness, &mut now, [RTT; 10]);
            tell(&mut witness, &mut now, [RTT + ms(19); 10]);
        }
        assert!(witness.is_full());
    }

    #[test]
    fn the_least_outlives_a_minute_with_a_queue_only_once() {
        let (mut witness, mut now) = (QueueWitness::default(), Time::ZERO);
        tell(&mut witness, &mut now, [RTT; 10]);
        let standing = std::iter::repeat_n(RTT + ms(80), 200 * 29);
        tell(&mut witness, &mut now, standing);
        assert!(witness.is_full(), "it is known how short it could be");
        tell(
            &mut witness,
            &mut now,
            std::iter::repeat_n(RTT + ms(80), 200 * 35),
        );
        assert!(!witness.is_full(), "a path may become longer");
    }
}
