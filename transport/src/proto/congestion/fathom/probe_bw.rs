//! The steady state: a cycle of gains that probes for more bandwidth and gives back the queue it
//! made (draft-cardwell-iccrg-bbr-00 §4.3.4).

use std::time::Duration;

use super::random_loss::SendingRate;
use crate::Time;
use crate::proto::congestion::model::mixed;

/// Pacing gains, per mille: a quarter above, a quarter below, and six round trips even (§4.3.4.1).
const GAINS_PERMILLE: [u64; 8] = [1250, 750, 1000, 1000, 1000, 1000, 1000, 1000];

/// Gain of a probe after one that found nothing, per mille: half the queue for the same answer,
/// later.
const GENTLE_GAIN_PERMILLE: u64 = 1125;

/// Growth of the bandwidth since the last probe with which that has found something, per mille:
/// more than samples differ by chance.
const FOUND_PERMILLE: u64 = 1050;

/// Part of what a probe asks for that, once it came through, is worth entering start-up again for,
/// per mille: most of it. All of it seldom shows, for a sample spans the start of the probe.
const CLIMB_PERMILLE: u64 = 600;

/// Index of the phase that gives back what the one before put into the queue.
const DRAINING: usize = 1;

/// Round trips that the draining phase lasts at most: beside flows that keep a queue up it would
/// otherwise never end.
const MAX_DRAIN_ROUNDS: u32 = 3;

/// The present phase of the cycle.
#[derive(Clone, Debug)]
pub(super) struct Cycle {
    phase: usize,
    phase_start: Time,
    lost: bool,
    /// The last probe has found nothing.
    gentle: bool,
    /// Bandwidth before the last probe, bytes a second.
    bandwidth_before: u64,
}

/// The quantities on which the end of a phase depends.
pub(super) struct Progress {
    pub(super) now: Time,
    pub(super) min_rtt: Duration,
    pub(super) bandwidth: u64,
    /// Bytes in flight before the acknowledgement, and after it.
    pub(super) prior_in_flight: u64,
    pub(super) bytes_in_flight: u64,
    /// Bytes that fit without a queue, and without any in the end systems' stacks.
    pub(super) inflight_drained: u64,
    /// Bytes in flight at the present gain.
    pub(super) inflight_above: u64,
}

impl Cycle {
    /// Begins at any phase but the draining one; `seed` chooses, so that flows that share a link
    /// do not probe in step (§4.3.4.2).
    pub(super) const fn new(now: Time, seed: u64, bandwidth: u64) -> Self {
        let phase = DRAINING + 1 + (mixed(seed) % (GAINS_PERMILLE.len() as u64 - 1)) as usize;
        Self {
            phase: phase % GAINS_PERMILLE.len(),
            phase_start: now,
            lost: false,
            gentle: false,
            bandwidth_before: bandwidth,
        }
    }

    /// Returns the pacing gain, per mille.
    pub(super) const fn gain_permille(&self) -> u64 {
        match GAINS_PERMILLE[self.phase] {
            1001.. if self.gentle => GENTLE_GAIN_PERMILLE,
            gain => gain,
        }
    }

    /// Returns how the pacing rate compares with the model's.
    pub(super) const fn sending_rate(&self) -> SendingRate {
        match self.gain_permille() {
            1001.. => SendingRate::Above,
            1000 => SendingRate::At,
            _ => SendingRate::Below,
        }
    }

    /// Notes a loss: a probe that loses need not reach its full flight.
    pub(super) const fn on_loss(&mut self) {
        self.lost = true;
    }

    /// Gives a signalled queue back now, unless that is in progress already.
    pub(super) const fn drain(&mut self, now: Time) {
        if self.phase != DRAINING {
            self.phase = DRAINING;
            self.phase_start = now;
            self.lost = false;
        }
    }

    /// Returns the bandwidth before the last probe, while that probe's result is coming in: during
    /// the probe, draining, and the two rounds after.
    pub(super) const fn probed_from(&self) -> Option<u64> {
        match self.phase {
            0..=3 => Some(self.bandwidth_before),
            _ => None,
        }
    }

    /// Returns the growth since the last probe that is worth entering start-up for, per mille.
    pub(super) const fn climb_permille(&self) -> u64 {
        let gain = if self.gentle {
            GENTLE_GAIN_PERMILLE
        } else {
            GAINS_PERMILLE[0]
        };
        1000 + (gain - 1000) * CLIMB_PERMILLE / 1000
    }

    /// Begins the next phase when this one is over.
    pub(super) fn advance(&mut self, progress: &Progress) {
        let lasted = progress.now.saturating_since(self.phase_start) > progress.min_rtt;
        let over = match self.sending_rate() {
            SendingRate::At => lasted,
            // A probe lasts until its flight is full, or nothing of it would have been tried;
            // losses end it, for then the path has no more to give.
            SendingRate::Above => {
                lasted && (self.lost || progress.prior_in_flight >= progress.inflight_above)
            }
            // Until the queue is really gone: after one round trip at 0.75, as in the draft, the
            // slack for the end systems would still stand in it (`bufferbloat`).
            SendingRate::Below => {
                progress.bytes_in_flight <= progress.inflight_drained
                    || progress.now.saturating_since(self.phase_start)
                        > MAX_DRAIN_ROUNDS * progress.min_rtt
            }
        };
        if over {
            self.begin(self.phase + 1, progress.now, progress.bandwidth);
        }
    }

    /// Returns true if the last probe is over and what it put into the queue has been given back.
    pub(super) const fn is_steady(&self) -> bool {
        // The phase right after draining is left out: its acknowledgements are those of packets
        // sent while draining.
        self.phase > DRAINING + 1
    }

    /// Probes for more out of turn, with the full gain.
    pub(super) fn probe_now(&mut self, now: Time, bandwidth: u64) {
        self.begin(0, now, bandwidth);
        self.gentle = false;
    }

    fn begin(&mut self, phase: usize, now: Time, bandwidth: u64) {
        self.phase = phase % GAINS_PERMILLE.len();
        self.phase_start = now;
        self.lost = false;
        // Whether this phase is above does not depend on the old `gentle`: a gentle probe is above
        // as well.
        if self.sending_rate() == SendingRate::Above {
            let found = self.bandwidth_before.saturating_mul(FOUND_PERMILLE);
            self.gentle = bandwidth.saturating_mul(1000) < found;
            self.bandwidth_before = bandwidth;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(now_ms: u64, bytes_in_flight: u64) -> Progress {
        Progress {
            now: Time::ZERO + Duration::from_millis(now_ms),
            min_rtt: Duration::from_millis(40),
            bandwidth: 1_000_000,
            prior_in_flight: bytes_in_flight,
            bytes_in_flight,
            inflight_drained: 40_000,
            inflight_above: 50_000,
        }
    }

    #[test]
    fn a_cycle_begins_anywhere_but_draining() {
        let mut started = [0; 8];
        for seed in 0..700 {
            started[Cycle::new(Time::ZERO, seed, 0).phase] += 1;
        }
        assert_eq!(started[DRAINING], 0);
        assert!(
            started
                .iter()
                .enumerate()
                .all(|(phase, n)| phase == DRAINING || *n > 50)
        );
    }

    #[test]
    fn what_is_put_in_is_given_back() {
        let mut cycle = Cycle::new(Time::ZERO, 0, 1);
        let mut gains = Vec::new();
        let mut last = None;
        for ms in 0..2000 {
            let in_flight = if cycle.sending_rate() == SendingRate::Below {
                45_000
            } else {
                51_000
            };
            cycle.advance(&progress(ms, in_flight));
            if last != Some(cycle.phase) {
                last = Some(cycle.phase);
                gains.push(cycle.gain_permille());
            }
        }
        let above = gains.iter().position(|gain| *gain == 1250).unwrap();
        assert_eq!(gains[above..above + 8], GAINS_PERMILLE);
        assert_eq!(gains[above + 8], GENTLE_GAIN_PERMILLE);
    }

    /// Gains of the probes of a path whose bandwidth is this in each cycle.
    fn probes(bandwidths: &[u64]) -> Vec<u64> {
        let mut cycle = Cycle::new(Time::ZERO, 0, bandwidths[0]);
        let mut gains = Vec::new();
        let mut last = cycle.phase;
        for ms in 0..20_000 {
            let next = bandwidths.get(gains.len()).copied();
            let at_least = if cycle.sending_rate() == SendingRate::Above {
                51_000
            } else {
                0
            };
            let bandwidth = next.unwrap_or(0);
            cycle.advance(&Progress {
                bandwidth,
                ..progress(ms, at_least)
            });
            if cycle.phase == 0 && last != 0 && next.is_some() {
                gains.push(cycle.gain_permille());
            }
            last = cycle.phase;
        }
        gains
    }

    #[test]
    fn a_probe_after_one_that_found_nothing_is_gentle() {
        let gains = probes(&[100, 100, 103, 109, 109]);
        let (full, gentle) = (GAINS_PERMILLE[0], GENTLE_GAIN_PERMILLE);
        assert_eq!(gains, [gentle, gentle, gentle, full, gentle]);
    }

    #[test]
    fn draining_ends_as_soon_as_the_queue_is_gone() {
        let mut cycle = Cycle::new(Time::ZERO, 0, 1);
        cycle.drain(Time::ZERO);
        cycle.advance(&progress(1, 41_000));
        assert_eq!(cycle.sending_rate(), SendingRate::Below);
        cycle.advance(&progress(2, 40_000));
        assert_eq!(cycle.sending_rate(), SendingRate::At);
    }
}
