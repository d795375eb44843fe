//! Round trips that become shorter by themselves: another flow has left the link, or the link has
//! become faster. Either way more bandwidth is available, long before the next probe is due.
//!
//! The least round-trip time of each round is compared with those of the rounds before. How much
//! these differ from each other is what the path does by chance.

use std::time::Duration;

/// Rounds to compare with.
const ROUNDS: usize = 4;

/// Part of the round trip below which a drop is ignored: timers make that much.
const LEAST_DIVISOR: u32 = 64;

/// The last rounds in which as much was sent as the path transmits.
#[derive(Clone, Debug, Default)]
pub(super) struct RttDropDetector {
    /// Least round-trip time of each, the last one first.
    rounds: [Option<Duration>; ROUNDS],
}

impl RttDropDetector {
    /// Ends a round in which nothing was added to the queue and nothing given back.
    pub(super) fn end_round(&mut self, rtt_min: Duration) {
        self.rounds.rotate_right(1);
        self.rounds[0] = Some(rtt_min);
    }

    /// Forgets the rounds so far: something has happened after which shorter round trips show
    /// nothing.
    pub(super) fn forget(&mut self) {
        self.rounds = [None; ROUNDS];
    }

    /// Returns true if a round trip is so short that the path must have changed.
    pub(super) fn detects(&self, rtt: Duration) -> bool {
        let rounds = || self.rounds.iter().flatten().copied();
        let (Some(least), Some(most)) = (rounds().min(), rounds().max()) else {
            return false;
        };
        // Half of the spread: with four rounds, a least one that is shorter by more than that is
        // hardly chance.
        let chance = ((most - least) / 2).max(least / LEAST_DIVISOR);
        // With fewer rounds their spread says nothing yet.
        rounds().count() == ROUNDS && rtt + chance < least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(rounds: &[u64]) -> RttDropDetector {
        let mut detector = RttDropDetector::default();
        for us in rounds {
            detector.end_round(Duration::from_micros(*us));
        }
        detector
    }

    fn detects(rounds: &[u64], us: u64) -> bool {
        after(rounds).detects(Duration::from_micros(us))
    }

    #[test]
    fn a_packet_that_takes_less_time_on_the_link_is_a_drop() {
        assert!(detects(&[41_400; 4], 40_300));
        assert!(!detects(&[41_400; 4], 41_000));
    }

    #[test]
    fn what_the_rounds_differ_by_is_chance() {
        let rounds = [44_000, 42_000, 46_000, 43_000];
        assert!(!detects(&rounds, 40_500));
        assert!(detects(&rounds, 39_900));
    }

    #[test]
    fn only_the_last_rounds_count_and_all_of_them_are_needed() {
        assert!(!detects(&[80_000; 3], 40_000));
        assert!(detects(&[80_000; 4], 40_000));
        assert!(!detects(&[80_000, 40_000, 40_000, 40_000, 40_000], 40_000));
        let mut detector = after(&[80_000; 4]);
        detector.forget();
        assert!(!detector.detects(Duration::from_millis(40)));
    }
}
