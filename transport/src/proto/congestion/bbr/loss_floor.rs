//! How much the path loses whatever the sender does.
//!
//! Loss that congestion causes falls when the sender slows down; the rest is the path's own,
//! and sending less only wastes the link. Two shares are kept: of what was sent at the
//! model's rate while no queue stood, and of what was sent below it, when the queue had just
//! been drained. The floor is no more than either, nor than the loss there is now: a shallow
//! buffer or a policer that drops whatever exceeds its rate shows in the first share and
//! not in the second, and a path that has healed shows in the last.

use std::collections::VecDeque;

/// No floor is believed beyond this: the rest is taken for congestion.
pub(super) const MAX_FLOOR: f64 = 0.5;

/// Fewer packets than this say nothing.
const LEAST_PACKETS: f64 = 48.0;

/// What is kept of a share when another round is added to it: some 16 rounds' memory.
const KEEP: f64 = 15.0 / 16.0;

/// And some 64.
const KEEP_ALL: f64 = 63.0 / 64.0;

/// A path that loses less than this by itself is as good as clean.
const CLEAN: f64 = 0.001;

/// Losses are beyond chance when they exceed the mean by so many standard deviations.
const DEVIATIONS: f64 = 3.0;

/// Less is lost below the model's rate when the difference is so many standard deviations: it
/// is asked again and again, and to be wrong costs a few rounds.
const RISE_DEVIATIONS: f64 = 3.0;

/// The drained share gets one sample a cycle and remembers some six.
const KEEP_DRAINED: f64 = 5.0 / 6.0;

/// The recent share remembers some four rounds.
const KEEP_RECENT: f64 = 3.0 / 4.0;

/// How a packet was sent: what its fate can tell.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// Above the model's rate: loss may be of the sender's own making.
    Above,
    /// At the model's rate.
    At,
    /// Below it.
    Below,
}

/// Packets delivered and lost; not whole once they fade.
#[derive(Copy, Clone, Debug, Default)]
struct Share {
    delivered: f64,
    lost: f64,
}

impl Share {
    fn add(&mut self, keep: f64, other: Self) {
        self.delivered = self.delivered * keep + other.delivered;
        self.lost = self.lost * keep + other.lost;
    }

    fn total(self) -> f64 {
        self.delivered + self.lost
    }

    /// The share lost, if enough is known.
    fn ratio(self) -> Option<f64> {
        (self.total() >= LEAST_PACKETS).then(|| self.lost / self.total())
    }

    /// What the share may be at most, by two standard deviations.
    fn at_most(self) -> Option<f64> {
        let total = self.total();
        let ratio = (self.lost + 1.0) / (total + 2.0);
        (total >= LEAST_PACKETS).then(|| ratio + 2.0 * (ratio * (1.0 - ratio) / total).sqrt())
    }
}

/// The estimator.
#[derive(Clone, Debug)]
pub(super) struct LossFloor {
    /// From which packet number on packets were sent how, the oldest first; never empty.
    loads: VecDeque<(u64, Load)>,
    /// Since the last round began, by load.
    round: [Share; 3],
    at: Share,
    below: Share,
    recent: Share,
    /// As `at`, with a longer memory.
    quiet: Share,
    /// Of every round, queue or not: what the path loses by itself is part of it.
    all: Share,
    /// The same, without what was sent above the model's rate.
    calm: Share,
    floor: f64,
    /// What is asked whether a round has lost more than the path does: slower to change than
    /// `floor`, and never below it for want of a drained queue.
    heard_floor: f64,
    /// The variance of a quiet round's losses over their mean: 1 where each packet has its own
    /// chance, the length of a burst where they come in bursts.
    dispersion: f64,
}

impl LossFloor {
    pub(super) fn new() -> Self {
        Self {
            loads: VecDeque::from([(0, Load::Above)]),
            round: [Share::default(); 3],
            at: Share::default(),
            below: Share::default(),
            recent: Share::default(),
            quiet: Share::default(),
            all: Share::default(),
            calm: Share::default(),
            floor: 0.0,
            heard_floor: MAX_FLOOR,
            dispersion: 1.0,
        }
    }

    /// The share of packets the path loses by itself.
    pub(super) const fn get(&self) -> f64 {
        self.floor
    }

    /// The share of the packets whose fate was told since the last round ended that were lost.
    pub(super) fn lost_in_round(&self) -> f64 {
        self.whole_round().ratio().unwrap_or(0.0)
    }

    /// Whether that share is more than any path loses by itself, by more than chance explains.
    pub(super) fn is_flooded(&self) -> bool {
        let round = self.whole_round();
        let packets = round.total();
        let chance = DEVIATIONS * (MAX_FLOOR * (1.0 - MAX_FLOOR) * packets).sqrt();
        packets >= LEAST_PACKETS && round.lost > MAX_FLOOR * packets + chance
    }

    fn whole_round(&self) -> Share {
        let mut whole = Share::default();
        for share in self.round {
            whole.add(1.0, share);
        }
        whole
    }

    /// Whether that many lost of so many packets are more than chance explains, where the path
    /// loses by itself as much as it may, for all that is known.
    pub(super) fn is_exceeded(&self, lost: f64, packets: f64) -> bool {
        let expected = self.heard_floor * packets;
        lost > expected + DEVIATIONS * (self.dispersion * expected).sqrt()
    }

    /// For all that is known, the path loses nothing by itself.
    pub(super) fn is_clean(&self) -> bool {
        self.all.lost <= CLEAN * self.all.total()
            || self.quiet.ratio().is_some_and(|ratio| ratio <= CLEAN)
    }

    /// More is lost at the model's rate than below it.
    pub(super) fn rises_with_rate(&self) -> bool {
        let (Some(at), Some(below)) = (self.at.ratio(), self.below.ratio()) else {
            return false;
        };
        let mut both = self.at;
        both.add(1.0, self.below);
        let ratio = both.lost / both.total();
        let inverse = 1.0 / self.at.total() + 1.0 / self.below.total();
        let variance = ratio * (1.0 - ratio) * inverse * self.dispersion;
        at - below > RISE_DEVIATIONS * variance.sqrt()
    }

    /// What was sent so far tells nothing of the path as it will be met from now on.
    pub(super) fn start_over(&mut self, next_packet_number: u64, load: Load) {
        self.loads = VecDeque::from([(0, Load::Above), (next_packet_number, load)]);
        for share in [
            &mut self.at,
            &mut self.below,
            &mut self.recent,
            &mut self.quiet,
        ] {
            *share = Share::default();
        }
        self.floor = 0.0;
    }

    /// From now on, packets are sent so.
    pub(super) fn on_load(&mut self, next_packet_number: u64, load: Load) {
        match self.loads.back_mut() {
            Some((_, last)) if *last == load => {}
            Some((from, last)) if *from == next_packet_number => *last = load,
            _ => self.loads.push_back((next_packet_number, load)),
        }
    }

    pub(super) fn on_delivered(&mut self, largest_acked: u64, packets: f64) {
        let load = self.load_of(largest_acked);
        self.round[load as usize].delivered += packets;
    }

    pub(super) fn on_lost(&mut self, largest_lost: u64, packets: f64) {
        let load = self.load_of(largest_lost);
        self.round[load as usize].lost += packets;
    }

    /// What was counted as lost, and lately, has been delivered after all.
    pub(super) fn on_spurious(&mut self, largest_acked: u64, packets: f64) {
        let load = self.load_of(largest_acked);
        self.round[load as usize].lost -= packets;
    }

    /// A round is over. `quiet`: no queue stood in it; `growing`: bandwidth still followed the
    /// sending rate, so that what was lost at any load was not lost to congestion.
    pub(super) fn end_round(&mut self, oldest_in_flight: u64, quiet: bool, growing: bool) {
        let whole = self.whole_round();
        let [above, at, below] = std::mem::take(&mut self.round);
        for share in [above, at, below] {
            if share.total() > 0.0 {
                self.recent.add(KEEP_RECENT, share);
            }
        }
        self.all.add(KEEP_ALL, whole);
        let mut calm = at;
        calm.add(1.0, below);
        if calm.total() > 0.0 {
            self.calm.add(KEEP_ALL, calm);
        }
        if quiet {
            self.update_dispersion(if growing { whole } else { at });
            self.quiet.add(KEEP_ALL, at);
            if growing {
                self.quiet.add(1.0, above);
            }
        }
        if quiet && growing {
            self.at.add(KEEP, above);
        }
        if quiet && at.total() > 0.0 {
            self.at.add(KEEP, at);
        }
        if quiet && below.total() > 0.0 {
            self.below.add(KEEP_DRAINED, below);
        }
        self.forget_loads(oldest_in_flight);
        self.floor = self.estimate();
        let quiet = self.quiet.ratio().unwrap_or(MAX_FLOOR);
        let all = self.all.at_most().unwrap_or(MAX_FLOOR);
        let calm = self.calm.at_most().unwrap_or(MAX_FLOOR);
        self.heard_floor = quiet.min(all).min(calm);
    }

    fn update_dispersion(&mut self, round: Share) {
        let usual = self.at.ratio().or_else(|| self.all.ratio());
        let expected = usual.unwrap_or(0.0) * round.total();
        if expected < 0.5 {
            return;
        }
        let deviation = round.lost - expected;
        let dispersion = deviation * deviation / expected;
        self.dispersion = (self.dispersion * KEEP + dispersion * (1.0 - KEEP)).max(1.0);
    }

    fn estimate(&self) -> f64 {
        let Some(at) = self.at.ratio() else {
            return 0.0;
        };
        let below = self.below.at_most().unwrap_or(1.0);
        let recent = self.recent.at_most().unwrap_or(1.0);
        at.min(below).min(recent).clamp(0.0, MAX_FLOOR)
    }

    fn load_of(&self, number: u64) -> Load {
        let entry = self.loads.iter().rev().find(|(from, _)| *from <= number);
        entry.map_or(Load::Above, |(_, load)| *load)
    }

    fn forget_loads(&mut self, oldest: u64) {
        while self.loads.get(1).is_some_and(|(from, _)| *from <= oldest) {
            self.loads.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A path after so many rounds of a hundred packets, each with this many lost.
    fn after(rounds: impl IntoIterator<Item = u32>, quiet: bool) -> LossFloor {
        let mut floor = LossFloor::new();
        floor.on_load(0, Load::At);
        for lost in rounds {
            floor.on_delivered(1, f64::from(100 - lost));
            floor.on_lost(1, f64::from(lost));
            floor.end_round(0, quiet, false);
        }
        floor
    }

    #[test]
    fn a_round_is_flooded_when_more_is_lost_than_any_path_loses_by_itself() {
        let flooded = |delivered, lost| {
            let mut floor = LossFloor::new();
            floor.on_delivered(1, delivered);
            floor.on_lost(1, lost);
            floor.is_flooded()
        };
        assert!(flooded(40.0, 160.0));
        assert!(!flooded(90.0, 110.0), "that may be chance");
        assert!(!flooded(4.0, 40.0), "so few say nothing");
        assert!(!flooded(1600.0, 400.0));
    }

    #[test]
    fn on_a_clean_path_every_loss_is_more_than_it_loses_by_itself() {
        let floor = after([0; 20], true);
        assert!(floor.is_clean());
        assert!(floor.is_exceeded(1.0, 100.0));
    }

    #[test]
    fn random_loss_is_hardly_ever_more_than_the_path_loses() {
        for seed in 0..10 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut round = || (0..100).filter(|_| rng.random::<f64>() < 0.05).count() as u32;
            let floor = after((0..200).map(|_| round()), true);
            assert!(!floor.is_clean());
            let exceeding = (0..1000).filter(|_| floor.is_exceeded(f64::from(round()), 100.0));
            let count = exceeding.count();
            assert!(count <= 20, "seed {seed}: {count} of 1000 rounds");
            assert!(floor.is_exceeded(30.0, 100.0), "seed {seed}");
        }
    }

    #[test]
    fn bursts_need_more_to_be_more_than_chance() {
        let bursts = |round: u32| if round.is_multiple_of(4) { 20 } else { 0 };
        let bursty = after((0..200).map(bursts), true);
        let even = after([5; 200], true);
        assert!(even.is_exceeded(20.0, 100.0));
        assert!(!bursty.is_exceeded(20.0, 100.0));
    }

    #[test]
    fn what_is_lost_while_a_queue_stands_is_no_floor() {
        let floor = after([0; 20].into_iter().chain([0; 20]), true);
        let mut queued = floor.clone();
        for _ in 0..20 {
            queued.on_delivered(1, 95.0);
            queued.on_lost(1, 5.0);
            queued.end_round(0, false, false);
        }
        assert!(queued.get() < 0.001, "{}", queued.get());
        assert!(queued.is_exceeded(1.0, 100.0));
    }

    #[test]
    fn what_start_up_lost_in_the_queue_of_others_excuses_nothing_later() {
        let mut floor = LossFloor::new();
        let mut rounds = |number, lost: f64| {
            for _ in 0..5 {
                floor.on_delivered(number, 100.0 - lost);
                floor.on_lost(number, lost);
                floor.end_round(0, false, false);
            }
            floor.on_load(1000, Load::At);
        };
        rounds(1, 30.0);
        rounds(1000, 1.0);
        assert!(floor.is_exceeded(12.0, 100.0));
        assert!(!floor.is_exceeded(3.0, 100.0));
    }

    /// Cycles of six rounds of a hundred packets at the model's rate and half a round below it,
    /// each packet lost with its load's chance. In how many more is lost at the rate.
    fn rises(seed: u64, at: f64, below: f64) -> usize {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut floor = LossFloor::new();
        let mut next = 0;
        let cycles = (0..50).filter(|_| {
            for (rounds, packets, load, chance) in
                [(6, 100, Load::At, at), (1, 50, Load::Below, below)]
            {
                floor.on_load(next, load);
                for _ in 0..rounds {
                    for _ in 0..packets {
                        if rng.random::<f64>() < chance {
                            floor.on_lost(next, 1.0);
                        } else {
                            floor.on_delivered(next, 1.0);
                        }
                        next += 1;
                    }
                    floor.end_round(next, true, false);
                }
            }
            floor.rises_with_rate()
        });
        cycles.count()
    }

    #[test]
    fn loss_by_chance_does_not_rise_with_the_rate() {
        for chance in [0.01, 0.1, 0.2] {
            let wrong: usize = (0..100).map(|seed| rises(seed, chance, chance)).sum();
            assert!(wrong <= 50, "{wrong} of 5,000 cycles at {chance}");
        }
    }

    #[test]
    fn a_policer_is_told_by_what_it_lets_through_below_its_rate() {
        for seed in 0..100 {
            assert!(rises(seed, 0.3, 0.07) > 30, "seed {seed}");
        }
    }

    #[test]
    fn what_was_learned_at_another_rate_is_void() {
        let mut floor = after([30; 20], true);
        assert!(floor.get() > 0.25);
        floor.start_over(1000, Load::At);
        assert!(floor.get() < 0.001);
        // What was sent before is still coming in.
        floor.on_lost(999, 100.0);
        floor.end_round(0, true, false);
        assert!(floor.get() < 0.001);
    }
}
