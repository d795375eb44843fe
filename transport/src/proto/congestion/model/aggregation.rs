//! Aggregated acknowledgements (draft-cardwell-iccrg-bbr-congestion-control-02 §4.5.2.5).
//!
//! A receiver that acknowledges a few times a round trip, or a link that gathers packets before it
//! sends them, leaves the sender without acknowledgements for a while. The surplus that then
//! arrives at once, beyond what the bandwidth explains, is allowed in flight on top: otherwise the
//! pipe would run dry in the meantime.

use std::time::Duration;

use super::bytes_in;
use crate::Time;

/// Rounds in a stretch; the largest surplus is remembered for this one and the last. Five, so that
/// both together are the ten rounds of a bandwidth filter.
const STRETCH_ROUNDS: u64 = 5;

/// Longest aggregation that is counted, at the present bandwidth: four times the 25 ms for which
/// a receiver may hold an acknowledgement back.
const LONGEST: Duration = Duration::from_millis(100);

/// The largest recent surplus.
#[derive(Clone, Debug, Default)]
pub(in crate::proto::congestion) struct Aggregation {
    epoch_start: Option<Time>,
    epoch_acked: u64,
    /// The maxima of this stretch of rounds and of the last one.
    surplus: [u64; 2],
    stretch_start: u64,
}

impl Aggregation {
    /// Returns the bytes that may be in flight on top.
    pub(in crate::proto::congestion) fn get(&self) -> u64 {
        self.surplus[0].max(self.surplus[1])
    }

    /// Handles an acknowledgement of `acked` bytes in this round.
    pub(in crate::proto::congestion) fn on_ack(
        &mut self,
        now: Time,
        round: u64,
        acked: u64,
        bandwidth: u64,
        window: u64,
    ) {
        if round >= self.stretch_start + STRETCH_ROUNDS {
            self.stretch_start = round;
            self.surplus = [0, self.surplus[0]];
        }
        let start = *self.epoch_start.get_or_insert(now);
        let expected = bytes_in(bandwidth, now.saturating_since(start));
        if self.epoch_acked <= expected {
            // No more than the bandwidth explains: the next aggregation may begin here.
            self.epoch_start = Some(now);
            self.epoch_acked = acked;
        } else {
            self.epoch_acked += acked;
        }
        let start = self.epoch_start.unwrap_or(now);
        let expected = bytes_in(bandwidth, now.saturating_since(start));
        let surplus = self.epoch_acked.saturating_sub(expected);
        let most = bytes_in(bandwidth, LONGEST).min(window);
        self.surplus[0] = self.surplus[0].max(surplus.min(most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Acknowledgements every `every_ms` at a megabyte a second; the surplus they show.
    fn surplus(every_ms: u64) -> u64 {
        let mut aggregation = Aggregation::default();
        for ack in 1..100 {
            let now = Time::ZERO + Duration::from_millis(ack * every_ms);
            aggregation.on_ack(now, ack, every_ms * 1000, 1_000_000, u64::MAX);
        }
        aggregation.get()
    }

    #[test]
    fn the_surplus_is_one_aggregate_and_no_more_than_a_tenth_of_a_second() {
        assert_eq!(surplus(5), 5_000);
        assert_eq!(surplus(50), 50_000);
        assert_eq!(surplus(500), 100_000);
    }
}
