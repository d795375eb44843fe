//! Acknowledgements that come in lumps (draft-cardwell-iccrg-bbr-congestion-control-02
//! §4.5.2.5).
//!
//! A receiver that answers a few times a round trip, or a link that gathers packets before
//! it sends them, leaves the sender without news for a while. What arrives beyond what the
//! bandwidth explains is allowed in flight on top, or the pipe would run dry meanwhile.

use std::time::Duration;

use crate::Time;
use crate::time::nanos;

/// The largest lump is remembered for two stretches of this many rounds.
const STRETCH_ROUNDS: u64 = 5;

/// No lump is believed that lasts longer than this at the present bandwidth.
const LONGEST: Duration = Duration::from_millis(100);

/// The largest surplus of late.
#[derive(Clone, Debug, Default)]
pub(super) struct Aggregation {
    epoch_start: Option<Time>,
    epoch_acked: u64,
    /// The maxima of this stretch of rounds and of the last one.
    surplus: [u64; 2],
    stretch_start: u64,
}

impl Aggregation {
    /// Bytes that may be in flight on top.
    pub(super) fn get(&self) -> u64 {
        self.surplus[0].max(self.surplus[1])
    }

    pub(super) fn on_ack(
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
            // What came was no more than the bandwidth explains: a lump may begin here.
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

/// What `rate` bytes a second come to in that time.
pub(super) fn bytes_in(rate: u64, time: Duration) -> u64 {
    let bytes = u128::from(rate) * u128::from(nanos(time)) / 1_000_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
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
    fn the_surplus_is_one_lump_and_no_more_than_a_tenth_of_a_second() {
        assert_eq!(surplus(5), 5_000);
        assert_eq!(surplus(50), 50_000);
        assert_eq!(surplus(500), 100_000);
    }
}
