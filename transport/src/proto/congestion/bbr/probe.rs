//! The steady state: a cycle of gains that looks for more bandwidth and gives back the queue
//! it made (draft-cardwell-iccrg-bbr-00 §4.3.4), and now and then a look for the least
//! round-trip time (§4.3.5).

use std::time::Duration;

use super::loss_floor::Load;
use crate::Time;

/// Pacing gains, per mille: a quarter above, a quarter below, and six round trips even.
const GAINS_PERMILLE: [u64; 8] = [1250, 750, 1000, 1000, 1000, 1000, 1000, 1000];

/// A look for more after one that found nothing: half the queue for the same answer, later.
const GENTLE_GAIN_PERMILLE: u64 = 1125;

/// Bandwidth that grew so much since the last look was worth looking for, per mille.
const FOUND_PERMILLE: u64 = 1050;

/// Of what a look for more asks for, the part that is worth climbing after, per mille.
const CLIMB_PERMILLE: u64 = 600;

/// The phase that gives back what the one before put into the queue.
const DRAINING: usize = 1;

/// The draining phase goes on until the queue is gone, but no longer than so many round trips.
const MAX_DRAIN_ROUNDS: u32 = 3;

/// How long [`ProbeRtt`] stays (§4.3.5).
const PROBE_RTT_DURATION: Duration = Duration::from_millis(200);

/// A place in the cycle.
#[derive(Clone, Debug)]
pub(super) struct Cycle {
    phase: usize,
    began_at: Time,
    lost: bool,
    /// The last look for more has found nothing.
    gentle: bool,
    /// The bandwidth before the last look for more, bytes a second.
    bandwidth_before: u64,
}

/// What a phase's end depends on.
pub(super) struct Progress {
    pub(super) now: Time,
    pub(super) min_rtt: Duration,
    pub(super) bandwidth: u64,
    /// Before the acknowledgement, and after it.
    pub(super) prior_in_flight: u64,
    pub(super) bytes_in_flight: u64,
    /// What fits without a queue, and without anything on its way through the ends.
    pub(super) inflight_drained: u64,
    /// What a full quarter above would have in flight.
    pub(super) inflight_above: u64,
}

impl Cycle {
    /// Begins at any phase but the draining one; `seed` chooses, so that flows that share a
    /// link do not probe in step.
    pub(super) const fn new(now: Time, seed: u64, bandwidth: u64) -> Self {
        // Fibonacci hashing: the high bits of the product are well mixed.
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let phase = DRAINING + 1 + (mixed % (GAINS_PERMILLE.len() as u64 - 1)) as usize;
        Self {
            phase: phase % GAINS_PERMILLE.len(),
            began_at: now,
            lost: false,
            gentle: false,
            bandwidth_before: bandwidth,
        }
    }

    pub(super) const fn gain_permille(&self) -> u64 {
        match GAINS_PERMILLE[self.phase] {
            1001.. if self.gentle => GENTLE_GAIN_PERMILLE,
            gain => gain,
        }
    }

    pub(super) const fn load(&self) -> Load {
        match self.gain_permille() {
            1001.. => Load::Above,
            1000 => Load::At,
            _ => Load::Below,
        }
    }

    pub(super) const fn on_loss(&mut self) {
        self.lost = true;
    }

    /// A queue has been signalled: gives it back now, unless that is under way.
    pub(super) const fn drain(&mut self, now: Time) {
        if self.phase != DRAINING {
            self.phase = DRAINING;
            self.began_at = now;
            self.lost = false;
        }
    }

    /// What the last look for more has brought: the bandwidth before, while its result is
    /// coming in.
    pub(super) const fn probed_from(&self) -> Option<u64> {
        match self.phase {
            0..=3 => Some(self.bandwidth_before),
            _ => None,
        }
    }

    /// Growth since the last look for more that is worth climbing after, per mille.
    pub(super) const fn climb_permille(&self) -> u64 {
        let gain = if self.gentle {
            GENTLE_GAIN_PERMILLE
        } else {
            GAINS_PERMILLE[0]
        };
        1000 + (gain - 1000) * CLIMB_PERMILLE / 1000
    }

    /// Goes on to the next phase when this one is over.
    pub(super) fn advance(&mut self, progress: &Progress) {
        let lasted = progress.now.saturating_since(self.began_at) > progress.min_rtt;
        let over = match self.load() {
            Load::At => lasted,
            Load::Above => {
                lasted && (self.lost || progress.prior_in_flight >= progress.inflight_above)
            }
            Load::Below => {
                progress.bytes_in_flight <= progress.inflight_drained
                    || progress.now.saturating_since(self.began_at)
                        > MAX_DRAIN_ROUNDS * progress.min_rtt
            }
        };
        if over {
            self.begin(self.phase + 1, progress.now, progress.bandwidth);
        }
    }

    /// The last look for more is over, and what it put into the queue is given back.
    pub(super) const fn is_steady(&self) -> bool {
        self.phase > DRAINING + 1
    }

    /// Looks for more out of turn.
    pub(super) fn look(&mut self, now: Time, bandwidth: u64) {
        self.begin(0, now, bandwidth);
        self.gentle = false;
    }

    fn begin(&mut self, phase: usize, now: Time, bandwidth: u64) {
        self.phase = phase % GAINS_PERMILLE.len();
        self.began_at = now;
        self.lost = false;
        if self.load() == Load::Above {
            let found = self.bandwidth_before.saturating_mul(FOUND_PERMILLE);
            self.gentle = bandwidth.saturating_mul(1000) < found;
            self.bandwidth_before = bandwidth;
        }
    }
}

/// A visit to where no queue of our own can be.
///
/// Departs from the draft, which goes down to four packets: half of what fits drains any
/// queue that is ours within the visit and costs half as much.
#[derive(Clone, Debug)]
pub(super) struct ProbeRtt {
    /// When the visit ends, once so little is in flight.
    done_at: Option<Time>,
    /// And the round it has to reach.
    round: u64,
    rtt_min: Option<Duration>,
    /// The window to come back to.
    pub(super) window_before: u64,
}

impl ProbeRtt {
    pub(super) const fn new(window_before: u64) -> Self {
        Self {
            done_at: None,
            round: 0,
            rtt_min: None,
            window_before,
        }
    }

    pub(super) const fn rtt_min(&self) -> Option<Duration> {
        self.rtt_min
    }

    /// Whether the visit is over. `low`: no more is in flight than was meant to be.
    pub(super) fn on_ack(
        &mut self,
        now: Time,
        round: u64,
        low: bool,
        rtt: Option<Duration>,
    ) -> bool {
        let Some(done_at) = self.done_at else {
            if low {
                self.done_at = Some(now + PROBE_RTT_DURATION);
                self.round = round + 1;
            }
            return false;
        };
        if let Some(rtt) = rtt {
            self.rtt_min = Some(self.rtt_min.map_or(rtt, |min| min.min(rtt)));
        }
        now >= done_at && round >= self.round
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
        let mut begun = [0; 8];
        for seed in 0..700 {
            begun[Cycle::new(Time::ZERO, seed, 0).phase] += 1;
        }
        assert_eq!(begun[DRAINING], 0);
        assert!(
            begun
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
            let in_flight = if cycle.load() == Load::Below {
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

    /// The gains of the looks for more of a path whose bandwidth is this in each cycle.
    fn looks(bandwidths: &[u64]) -> Vec<u64> {
        let mut cycle = Cycle::new(Time::ZERO, 0, bandwidths[0]);
        let mut gains = Vec::new();
        let mut last = cycle.phase;
        for ms in 0..20_000 {
            let next = bandwidths.get(gains.len()).copied();
            let at_least = if cycle.load() == Load::Above {
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
    fn who_found_nothing_looks_less_hard_until_there_is_something() {
        let gains = looks(&[100, 100, 103, 109, 109]);
        let (full, gentle) = (GAINS_PERMILLE[0], GENTLE_GAIN_PERMILLE);
        assert_eq!(gains, [gentle, gentle, gentle, full, gentle]);
    }

    #[test]
    fn draining_ends_as_soon_as_the_queue_is_gone() {
        let mut cycle = Cycle::new(Time::ZERO, 0, 1);
        cycle.drain(Time::ZERO);
        cycle.advance(&progress(1, 41_000));
        assert_eq!(cycle.load(), Load::Below);
        cycle.advance(&progress(2, 40_000));
        assert_eq!(cycle.load(), Load::At);
    }
}
