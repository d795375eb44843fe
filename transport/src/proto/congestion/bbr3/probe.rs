//! The phases in which the sender probes for bandwidth (draft-ietf-ccwg-bbr-02 §5.3.3).

use std::time::Duration;

use crate::Time;
use crate::proto::congestion::model::mixed;

/// Least time between two probes; up to a second more by chance (§5.3.3.5.2).
const LEAST_WAIT: Duration = Duration::from_secs(2);

/// Most round trips between two probes, where Reno would take fewer to grow as far.
const RENO_ROUNDS: u64 = 63;

/// Most times that the slope doubles, once each round (§5.3.3.6).
const MAX_UP_ROUNDS: u32 = 30;

/// A phase of `ProbeBW`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Down,
    Cruise,
    Refill,
    Up,
}

impl Phase {
    /// Returns the pacing gain, per mille (§5.1).
    pub(super) const fn pacing_permille(self) -> u64 {
        match self {
            Self::Down => 900,
            Self::Cruise | Self::Refill => 1000,
            Self::Up => 1250,
        }
    }

    /// Returns the window gain, per mille.
    pub(super) const fn window_permille(self) -> u64 {
        match self {
            Self::Up => 2250,
            _ => 2000,
        }
    }
}

/// Phase that the present acknowledgements belong to (`BBR.ack_phase`, §5.3.3.6).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Acks {
    /// No probe.
    Init,
    Refilling,
    ProbeStarting,
    ProbeFeedback,
    ProbeStopping,
}

/// The time of the next probe.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    start: Time,
    wait: Duration,
    rounds: u64,
}

impl Schedule {
    /// Picks the wait until the next probe (`BBRPickProbeWait`); `seed` decides the random part.
    pub(super) const fn new(now: Time, seed: u64) -> Self {
        let mixed = mixed(seed);
        let millis = mixed % 1000;
        Self {
            start: now,
            wait: LEAST_WAIT.saturating_add(Duration::from_millis(millis)),
            rounds: mixed / 1000 % 2,
        }
    }

    /// Counts a round.
    pub(super) const fn end_round(&mut self) {
        self.rounds += 1;
    }

    /// Returns true after a long enough wait, or after as many rounds as a Reno flow of that many
    /// packets would need (`BBRIsTimeToProbeBW`, §5.3.3.5.2).
    pub(super) fn is_due(&self, now: Time, target_packets: u64) -> bool {
        // Whichever comes first: by time alone a Reno flow on a short path would have grown past
        // this one, by rounds alone a long path would wait minutes.
        now.saturating_since(self.start) > self.wait
            || self.rounds >= target_packets.min(RENO_ROUNDS)
    }
}

/// Slope of the long-term bound while probing up (`BBRProbeInflightHiUpward`, §5.3.3.6).
#[derive(Clone, Debug)]
pub(super) struct UpSlope {
    rounds: u32,
    acked: u64,
    /// Bytes to be acknowledged for one more packet.
    each: u64,
}

impl UpSlope {
    /// Starts flat.
    pub(super) const fn new() -> Self {
        Self {
            rounds: 0,
            acked: 0,
            each: u64::MAX,
        }
    }

    /// Doubles the slope (`BBRRaiseInflightHiSlope`).
    pub(super) fn steepen(&mut self, window: u64) {
        // Doubling, as slow start does: a link that became much faster is filled in a few rounds,
        // and one that did not loses a packet or two.
        let packets = 1u64 << self.rounds;
        self.rounds = (self.rounds + 1).min(MAX_UP_ROUNDS);
        self.each = (window / packets).max(1);
    }

    /// Returns the bytes by which the bound rises for these acknowledged ones.
    pub(super) const fn climb(&mut self, acked: u64, mss: u64) -> u64 {
        self.acked += acked;
        let packets = self.acked / self.each;
        self.acked -= packets * self.each;
        packets * mss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_due_after_two_or_three_seconds_or_renos_rounds() {
        let at = |ms| Time::ZERO + Duration::from_millis(ms);
        for seed in 0..1000 {
            let mut schedule = Schedule::new(Time::ZERO, seed);
            assert!(!schedule.is_due(at(2000), 1000), "{seed}");
            assert!(schedule.is_due(at(3001), 1000), "{seed}");
            for _ in 0..20 {
                schedule.end_round();
            }
            assert!(schedule.is_due(at(1), 20), "{seed}");
            assert!(!schedule.is_due(at(1), 63), "{seed}");
        }
    }

    #[test]
    fn the_slope_doubles_each_round() {
        let mut slope = UpSlope::new();
        for round in 0..5 {
            slope.steepen(100_000);
            assert_eq!(slope.climb(100_000, 1000), 1000 << round);
        }
    }
}
