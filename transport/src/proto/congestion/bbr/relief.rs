//! Round trips that become shorter by themselves: somebody has left the link, or it has become
//! faster. Either way there is more to be had, long before the next look for more is due.
//!
//! The least round-trip time of each round is compared with those of the rounds before it. How
//! much these differ from each other is what the path does without a reason.

use std::time::Duration;

/// Rounds to compare with.
const ROUNDS: usize = 4;

/// Falls that are less than this part of the round trip are not heard.
const LEAST_DIVISOR: u32 = 64;

/// The rounds of late in which as much was sent as the path carries.
#[derive(Clone, Debug, Default)]
pub(super) struct Relief {
    /// The least round-trip time of each, the last one first.
    rounds: [Option<Duration>; ROUNDS],
}

impl Relief {
    /// A round is over in which nothing was added to the queue and nothing given back.
    pub(super) fn end_round(&mut self, rtt_min: Duration) {
        self.rounds.rotate_right(1);
        self.rounds[0] = Some(rtt_min);
    }

    /// What the round trips were says nothing about what they will be.
    pub(super) fn forget(&mut self) {
        self.rounds = [None; ROUNDS];
    }

    /// Whether a round trip is so short that the path must have changed.
    pub(super) fn is_shown_by(&self, rtt: Duration) -> bool {
        let rounds = || self.rounds.iter().flatten().copied();
        let (Some(least), Some(most)) = (rounds().min(), rounds().max()) else {
            return false;
        };
        let chance = ((most - least) / 2).max(least / LEAST_DIVISOR);
        rounds().count() == ROUNDS && rtt + chance < least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(rounds: &[u64]) -> Relief {
        let mut relief = Relief::default();
        for us in rounds {
            relief.end_round(Duration::from_micros(*us));
        }
        relief
    }

    fn is_shown(rounds: &[u64], us: u64) -> bool {
        after(rounds).is_shown_by(Duration::from_micros(us))
    }

    #[test]
    fn a_packet_that_takes_less_time_on_the_link_is_a_relief() {
        assert!(is_shown(&[41_400; 4], 40_300));
        assert!(!is_shown(&[41_400; 4], 41_000));
    }

    #[test]
    fn what_the_rounds_differ_by_is_chance() {
        let rounds = [44_000, 42_000, 46_000, 43_000];
        assert!(!is_shown(&rounds, 40_500));
        assert!(is_shown(&rounds, 39_900));
    }

    #[test]
    fn only_the_last_rounds_count_and_all_of_them_are_waited_for() {
        assert!(!is_shown(&[80_000; 3], 40_000));
        assert!(is_shown(&[80_000; 4], 40_000));
        assert!(!is_shown(&[80_000, 40_000, 40_000, 40_000, 40_000], 40_000));
        let mut relief = after(&[80_000; 4]);
        relief.forget();
        assert!(!relief.is_shown_by(Duration::from_millis(40)));
    }
}
