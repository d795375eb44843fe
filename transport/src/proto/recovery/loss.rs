//! The rules of loss detection: RFC 9002 §6.1 with the adaptive reordering window of RFC 8985 (RACK).
//!
//! Until reordering has been seen, three later packets acknowledged are enough, and so is an
//! eighth of a round trip. Once a packet arrives behind later ones, only time counts: the
//! window grows to what was seen, with a quarter on top, and shrinks again when nothing
//! arrives late for a while. A path that jitters then costs no spurious retransmissions, a
//! path that keeps order loses no time.

use std::time::Duration;

use super::rtt::{GRANULARITY, RttEstimator};
use crate::Time;

/// Why a packet was declared lost.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossTrigger {
    /// Enough later packets were acknowledged.
    PacketThreshold,
    /// A later packet was acknowledged long enough ago.
    TimeThreshold,
    /// A timer ran out without an acknowledgement.
    Timeout,
}

/// kPacketThreshold of RFC 9002 §6.1.1.
const PACKET_THRESHOLD: u64 = 3;

/// Round trips for which a lateness is remembered (RFC 8985 §6.2 step 4 uses 16).
const MEMORY_ROUNDS: u32 = 16;

/// The reordering window, in quarters of the worst lateness seen.
const WINDOW_QUARTERS: u32 = 5;

/// The packet that was sent last among those acknowledged, and how late others may be.
#[derive(Clone, Debug)]
pub(crate) struct LossDetector {
    /// When that packet was sent, and its number.
    newest: Option<(Time, u64)>,
    /// The round trip it took.
    newest_rtt: Duration,
    reordering: Option<Lateness>,
}

/// The worst reordering of late.
#[derive(Clone, Debug)]
struct Lateness {
    worst: Duration,
    packets: u64,
    seen_at: Time,
}

impl LossDetector {
    pub(crate) const fn new() -> Self {
        Self {
            newest: None,
            newest_rtt: Duration::ZERO,
            reordering: None,
        }
    }

    /// Takes an acknowledgement of a packet that was sent at `sent_at`.
    pub(crate) fn on_acked(&mut self, now: Time, number: u64, sent_at: Time, rtt: &RttEstimator) {
        let newest_before = self.newest.map_or(0, |(_, newest)| newest);
        if self.newest.is_none() || number > newest_before {
            self.newest = Some((sent_at, number));
            self.newest_rtt = now.saturating_since(sent_at);
            return;
        }
        // Acknowledged behind a later one: the path reorders, by the difference between the
        // times the two took (RFC 8985 §6.2 step 3).
        let took = now.saturating_since(sent_at);
        // The smaller of both: a newest packet that was itself delayed would hide how late this one
        // is.
        let lateness = took.saturating_sub(self.newest_rtt.min(rtt.smoothed()));
        let packets = newest_before - number;
        match &mut self.reordering {
            // A smaller lateness does not lower the window: the worst is what it has to cover, and
            // only time lowers it.
            Some(seen) if lateness < seen.worst => {
                seen.packets = seen.packets.max(packets);
                // Half the window would have called it lost.
                if lateness > seen.worst / 2 * WINDOW_QUARTERS / 4 {
                    seen.seen_at = now;
                }
            }
            seen => {
                let packets = packets.max(seen.as_ref().map_or(0, |seen| seen.packets));
                *seen = Some(Lateness {
                    worst: lateness,
                    packets,
                    seen_at: now,
                });
            }
        }
    }

    /// Forgets reordering that has not been seen again for a while, half at a time.
    pub(crate) fn decay(&mut self, now: Time, rtt: &RttEstimator) {
        let Some(seen) = &mut self.reordering else {
            return;
        };
        // By half, where RFC 8985 starts from its minimum: a path that reorders now and then would
        // pay with spurious retransmissions each time.
        if now.saturating_since(seen.seen_at) > MEMORY_ROUNDS * rtt.smoothed() {
            seen.worst /= 2;
            seen.packets /= 2;
            seen.seen_at = now;
            // The packet threshold tolerates so little by itself, and finds losses sooner than time
            // does.
            if seen.packets < PACKET_THRESHOLD {
                self.reordering = None;
            }
        }
    }

    /// The reordering window: how long a packet may stay behind the newest acknowledged one.
    pub(crate) fn window(&self, rtt: &RttEstimator) -> Duration {
        // The larger one, so that a round trip that has just become longer declares nothing lost
        // (RFC 9002 §6.1.2, whose factor of 9/8 is this eighth on top).
        let round = rtt.smoothed().max(rtt.latest());
        let least = (round / 8).max(GRANULARITY);
        self.reordering.as_ref().map_or(least, |seen| {
            // No more than a round trip, as RFC 8985 §6.2 step 4 bounds it: whatever was once seen,
            // by then a probe would have found the loss.
            (seen.worst * WINDOW_QUARTERS / 4).clamp(least, round.max(least))
        })
    }

    /// Tells whether a packet is lost by count alone.
    pub(crate) fn lost_by_count(&self, number: u64) -> bool {
        // On a path that reorders a count proves nothing: only time does (RFC 8985 §6.2).
        self.reordering.is_none()
            && self
                .newest
                .is_some_and(|(_, newest)| newest >= number + PACKET_THRESHOLD)
    }

    /// When time declares a packet lost, should no later one be acknowledged until then;
    /// `None` for a packet with no acknowledged one behind it.
    pub(crate) fn lost_at(&self, number: u64, sent_at: Time, rtt: &RttEstimator) -> Option<Time> {
        let (_, newest) = self.newest?;
        // RFC 8985 §6.2 step 5 takes the newest packet's round trip alone: one that got through
        // fast would then make its neighbours late.
        let round = self.newest_rtt.max(rtt.smoothed());
        (number < newest).then(|| sent_at + round + self.window(rtt))
    }

    /// The highest packet number acknowledged.
    pub(crate) fn newest_acked(&self) -> Option<u64> {
        self.newest.map(|(_, number)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: Duration = Duration::from_millis(40);

    /// Two packets a round trip, of which the first comes `late` behind the second, one round
    /// trip after the other.
    fn worst_after(lates: impl IntoIterator<Item = Duration>) -> Duration {
        let mut rtt = RttEstimator::new(None);
        rtt.update(ROUND, Duration::ZERO);
        let mut loss = LossDetector::new();
        let mut now = Time::ZERO;
        for (round, late) in lates.into_iter().enumerate() {
            let (sent_at, number) = (now, 10 * round as u64);
            now += ROUND;
            loss.on_acked(now, number + 5, sent_at, &rtt);
            loss.on_acked(now + late, number, sent_at, &rtt);
            loss.decay(now + late, &rtt);
        }
        loss.window(&rtt)
    }

    #[test]
    fn reordering_that_is_seen_again_is_not_forgotten() {
        let worst = Duration::from_millis(20);
        let once = worst_after([worst]);
        // Never as late again, but later than half the window would wait for.
        let often = std::iter::once(worst).chain([worst * 7 / 10; 100]);
        assert_eq!(worst_after(often), once);
    }

    #[test]
    fn reordering_that_is_not_seen_again_is_forgotten() {
        let once = std::iter::once(Duration::from_millis(20));
        let window = worst_after(once.chain([Duration::from_millis(1); 100]));
        assert!(window <= ROUND / 8, "{window:?}");
    }
}
