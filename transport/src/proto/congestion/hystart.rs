//! HyStart++ (RFC 9406): leaves slow start when the round trip grows, before the queue
//! overflows.
//!
//! Rounds are counted by packet number. When a round's least round-trip time exceeds the last
//! one's by an eighth, growth slows to a quarter (conservative slow start); if that lasts
//! five rounds, slow start is over, and if the round trip falls again, it was a false alarm.
//!
//! Departs from RFC 9406 §4.3 in `RTT_SAMPLES`: it counts acknowledgements, of which a bulk
//! receiver sends only some eight a round trip. There is no limit on the growth of an
//! acknowledgement (the RFC's L): the sender is paced.

use std::time::Duration;

/// Least and largest rise of the round trip that counts, and the part of it in between
/// (RFC 9406 §4.3, `MIN_RTT_THRESH`, `MAX_RTT_THRESH`, `MIN_RTT_DIVISOR`).
const MIN_RTT_THRESHOLD: Duration = Duration::from_millis(4);
const MAX_RTT_THRESHOLD: Duration = Duration::from_millis(16);
const MIN_RTT_DIVISOR: u32 = 8;

/// Samples before a round is compared (`N_RTT_SAMPLE`, 8 in the RFC: see above).
const RTT_SAMPLES: u32 = 4;

/// Part of the growth that conservative slow start keeps, and the rounds it lasts.
const CSS_GROWTH_DIVISOR: u64 = 4;
const CSS_ROUNDS: u32 = 5;

/// The state of one slow start.
#[derive(Clone, Debug, Default)]
pub(super) struct HyStart {
    /// Packet number whose acknowledgement, or a higher one's, ends the round.
    window_end: Option<u64>,
    last_round_min: Option<Duration>,
    current_round_min: Option<Duration>,
    samples: u32,
    css: Option<ConservativeSlowStart>,
}

#[derive(Copy, Clone, Debug)]
struct ConservativeSlowStart {
    baseline_min: Duration,
    rounds: u32,
}

/// Growth of the window on an acknowledgement.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// By that many bytes.
    By(u64),
    /// None: the path is full, and congestion avoidance begins.
    Over,
}

impl HyStart {
    /// Handles an acknowledgement of `acked_bytes`, the highest packet among them `largest_acked`.
    pub(super) fn on_ack(
        &mut self,
        largest_acked: u64,
        next_packet_number: u64,
        rtt: Option<Duration>,
        acked_bytes: u64,
    ) -> Growth {
        let window_end = *self.window_end.get_or_insert(next_packet_number);
        if let Some(rtt) = rtt {
            self.current_round_min = Some(self.current_round_min.map_or(rtt, |min| min.min(rtt)));
            self.samples += 1;
        }
        self.compare_rounds();
        let growth = if self.css.is_some() {
            acked_bytes / CSS_GROWTH_DIVISOR
        } else {
            acked_bytes
        };
        if largest_acked + 1 >= window_end && self.end_round(next_packet_number) {
            return Growth::Over;
        }
        Growth::By(growth)
    }

    /// Compares this round with the last, or with the one that raised the alarm.
    fn compare_rounds(&mut self) {
        let (Some(last), Some(current)) = (self.last_round_min, self.current_round_min) else {
            return;
        };
        // The least of fewer samples is too high by chance: that would end slow start early.
        if self.samples < RTT_SAMPLES {
            return;
        }
        match self.css {
            None => {
                let threshold =
                    // An eighth of a short round trip is jitter, an eighth of a long one a queue
                    // that has already overflowed: hence both bounds.
                    (last / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESHOLD, MAX_RTT_THRESHOLD);
                if current >= last + threshold {
                    self.css = Some(ConservativeSlowStart {
                        baseline_min: current,
                        rounds: 0,
                    });
                }
            }
            // The rise did not last: it was jitter, and slow start resumes at full growth.
            Some(css) if current < css.baseline_min => self.css = None,
            Some(_) => {}
        }
    }

    /// Begins the next round. Returns true once conservative slow start has lasted long enough.
    fn end_round(&mut self, next_packet_number: u64) -> bool {
        self.window_end = Some(next_packet_number);
        // A round without a sample keeps the one before to be compared with.
        if self.current_round_min.is_some() {
            self.last_round_min = self.current_round_min.take();
        }
        self.samples = 0;
        let Some(css) = &mut self.css else {
            return false;
        };
        css.rounds += 1;
        css.rounds >= CSS_ROUNDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKETS: u64 = 10;

    /// A round of ten packets, each with this round-trip time; the next ten go out behind it.
    fn round(hystart: &mut HyStart, number: u64, rtt_ms: u64) -> Vec<Growth> {
        let first = number * PACKETS;
        (first..first + PACKETS)
            .map(|packet| {
                let rtt = Some(Duration::from_millis(rtt_ms));
                let next = if packet + 1 < first + PACKETS {
                    first
                } else {
                    first + PACKETS
                };
                hystart.on_ack(packet, next + PACKETS, rtt, 1000)
            })
            .collect()
    }

    #[test]
    fn a_steady_round_trip_never_ends_slow_start() {
        let mut hystart = HyStart::default();
        for number in 0..50 {
            let growths = round(&mut hystart, number, 40 + number % 3);
            assert!(growths.iter().all(|growth| *growth == Growth::By(1000)));
        }
    }

    #[test]
    fn a_growing_queue_slows_growth_and_five_rounds_later_ends_it() {
        let mut hystart = HyStart::default();
        round(&mut hystart, 0, 40);
        round(&mut hystart, 1, 40);
        let growths = round(&mut hystart, 2, 50);
        assert!(growths.contains(&Growth::By(250)), "{growths:?}");
        let left = (3..10)
            .find(|&number| round(&mut hystart, number, 50 + number).contains(&Growth::Over));
        assert_eq!(left, Some(6));
    }

    #[test]
    fn a_false_alarm_is_taken_back() {
        let mut hystart = HyStart::default();
        round(&mut hystart, 0, 40);
        round(&mut hystart, 1, 40);
        round(&mut hystart, 2, 50);
        let growths = round(&mut hystart, 3, 40);
        assert_eq!(growths.last(), Some(&Growth::By(1000)));
        for number in 4..20 {
            assert!(!round(&mut hystart, number, 40).contains(&Growth::Over));
        }
    }
}
