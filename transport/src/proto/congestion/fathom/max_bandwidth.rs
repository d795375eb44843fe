//! The largest bandwidth of the last rounds.

/// Rounds for which a maximum is remembered (draft-cardwell-iccrg-bbr-00 §4.1.1.4): longer than
/// the cycle of eight gains, so that one probe's result lasts until the next.
const BANDWIDTH_ROUNDS: usize = 10;

/// Rounds for which it is remembered while a queue stands that the window in use cannot make: the
/// link has become slower than the model says.
const STALE_ROUNDS: usize = 3;

/// The maximum of each of the last rounds.
#[derive(Clone, Debug, Default)]
pub(super) struct MaxBandwidth {
    /// Bytes a second, the present round first.
    rounds: [u64; BANDWIDTH_ROUNDS],
}

impl MaxBandwidth {
    /// Returns bytes a second; 0 before the first sample.
    pub(super) fn get(&self) -> u64 {
        self.rounds.iter().copied().max().unwrap_or(0)
    }

    /// Adds a sample, bytes a second.
    pub(super) fn update(&mut self, rate: u64) {
        self.rounds[0] = self.rounds[0].max(rate);
    }

    /// Begins another round.
    pub(super) fn advance(&mut self) {
        self.rounds.rotate_right(1);
        self.rounds[0] = 0;
    }

    /// Multiplies everything remembered by a factor.
    pub(super) fn scale(&mut self, factor: f64) {
        // All of them: one round left as it was would be the maximum again.
        for rate in &mut self.rounds {
            *rate = (*rate as f64 * factor) as u64;
        }
    }

    /// Forgets all but the last few rounds.
    pub(super) fn forget_stale(&mut self) {
        // Keeps the older ones where those rounds have no sample: otherwise the sender would have
        // no bandwidth at all.
        if self.rounds[..STALE_ROUNDS].iter().any(|rate| *rate > 0) {
            self.rounds[STALE_ROUNDS..].fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_is_forgotten_after_ten_rounds() {
        let mut filter = MaxBandwidth::default();
        filter.update(100);
        for round in 0..BANDWIDTH_ROUNDS {
            assert_eq!(filter.get(), 100, "round {round}");
            filter.advance();
            filter.update(50);
        }
        assert_eq!(filter.get(), 50);
    }

    #[test]
    fn a_stale_maximum_goes_at_once_but_never_the_last_knowledge() {
        let mut filter = MaxBandwidth::default();
        filter.update(100);
        for _ in 0..STALE_ROUNDS {
            filter.advance();
        }
        filter.forget_stale();
        assert_eq!(filter.get(), 100);
        filter.update(10);
        filter.forget_stale();
        assert_eq!(filter.get(), 10);
    }
}
