//! Random loss: how much the path loses whatever the sender does.
//!
//! Loss that congestion causes falls when the sender slows down; the rest is the path's own, and
//! sending less only wastes the link. Two shares are kept: of what was sent at the model's rate
//! while no queue stood, and of what was sent below it, when the queue had just been drained. The
//! estimate is no more than either, nor than the loss there is now: a shallow buffer or a policer
//! that drops whatever exceeds its rate shows in the first share and not in the second, and a path
//! that has healed shows in the last.

use std::collections::VecDeque;

use super::share::Share;

/// Largest share that is taken for random loss; what exceeds it is congestion.
pub(super) const MAX_RANDOM_LOSS: f64 = 0.5;

/// Part of the share at the model's rate that is kept with each round: a memory of 16 rounds, two
/// cycles of gains.
const KEEP: f64 = 15.0 / 16.0;

/// Part that the shares with the longest memory keep: 64 rounds.
const KEEP_ALL: f64 = 63.0 / 64.0;

/// Part of the drained share that is kept: it gets one sample a cycle, and remembers six.
const KEEP_DRAINED: f64 = 5.0 / 6.0;

/// Part of the recent share that is kept: a memory of four rounds.
const KEEP_RECENT: f64 = 3.0 / 4.0;

/// Random loss below which a path counts as clean: one packet in a thousand.
const CLEAN: f64 = 0.001;

/// Standard deviations by which losses must exceed their mean to be beyond chance.
const DEVIATIONS: f64 = 3.0;

/// Standard deviations by which loss must be higher at the model's rate than below it: the question
/// is asked every round, and a wrong answer costs a few rounds.
const RISE_DEVIATIONS: f64 = 3.0;

/// Losses that a round must be expected to have before its variance says anything.
const LEAST_EXPECTED: f64 = 0.5;

/// Pacing rate of a packet beside the model's, which decides what its loss can show.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum SendingRate {
    /// Above: loss may be of the sender's own making.
    Above,
    /// At the model's rate.
    At,
    /// Below: no queue of this sender's own grows.
    Below,
}

/// Estimates the share of packets that the path loses by itself.
#[derive(Clone, Debug)]
pub(super) struct RandomLossEstimator {
    /// First packet number of each stretch sent at one rate, the oldest first; never empty.
    rates: VecDeque<(u64, SendingRate)>,
    /// Since the last round began, by [`SendingRate`].
    round: [Share; 3],
    /// Of what was sent at the model's rate, and below it, while no queue stood.
    at: Share,
    below: Share,
    /// Of the last few rounds.
    recent: Share,
    /// As `at`, with a longer memory.
    quiet: Share,
    /// Of every round, queue or not: random loss is part of it.
    all: Share,
    /// The same, without what was sent above the model's rate.
    calm: Share,
    estimate: f64,
    /// Random loss at most, against which a round's losses are compared. It changes more slowly than
    /// `estimate`, and a drained queue does not lower it.
    upper_bound: f64,
    /// Variance of a quiet round's losses over their mean: 1 where each packet is lost or not by
    /// itself, the length of a burst where losses come in bursts.
    dispersion: f64,
}

impl RandomLossEstimator {
    pub(super) fn new() -> Self {
        Self {
            rates: VecDeque::from([(0, SendingRate::Above)]),
            round: [Share::default(); 3],
            at: Share::default(),
            below: Share::default(),
            recent: Share::default(),
            quiet: Share::default(),
            all: Share::default(),
            calm: Share::default(),
            estimate: 0.0,
            upper_bound: MAX_RANDOM_LOSS,
            dispersion: 1.0,
        }
    }

    /// Returns the share of packets that the path loses by itself.
    pub(super) const fn get(&self) -> f64 {
        self.estimate
    }

    /// Returns the share lost of the packets acknowledged or declared lost since the last round
    /// ended.
    pub(super) fn lost_in_round(&self) -> f64 {
        self.whole_round().ratio().unwrap_or(0.0)
    }

    /// Returns true if that share is more than any path loses by itself, beyond chance.
    pub(super) fn is_flooded(&self) -> bool {
        let round = self.whole_round();
        let packets = round.total();
        let chance = DEVIATIONS * (MAX_RANDOM_LOSS * (1.0 - MAX_RANDOM_LOSS) * packets).sqrt();
        round.is_known() && round.lost > MAX_RANDOM_LOSS * packets + chance
    }

    fn whole_round(&self) -> Share {
        let mut whole = Share::default();
        for share in self.round {
            whole.add(1.0, share);
        }
        whole
    }

    /// Returns true if that many lost of so many packets are more than chance explains, on a path
    /// that loses by itself as much as is consistent with what has been seen.
    pub(super) fn is_exceeded(&self, lost: f64, packets: f64) -> bool {
        let expected = self.upper_bound * packets;
        lost > expected + DEVIATIONS * (self.dispersion * expected).sqrt()
    }

    /// Returns true if nothing has shown random loss so far.
    pub(super) fn is_clean(&self) -> bool {
        // Either is enough: `all` has the losses of congestion in it, `quiet` may know nothing yet.
        self.all.lost <= CLEAN * self.all.total()
            || self.quiet.ratio().is_some_and(|ratio| ratio <= CLEAN)
    }

    /// Returns true if more is lost at the model's rate than below it: a policer, or a buffer too
    /// shallow to show a queue.
    pub(super) fn rises_with_rate(&self) -> bool {
        let (Some(at), Some(below)) = (self.at.ratio(), self.below.ratio()) else {
            return false;
        };
        let mut both = self.at;
        both.add(1.0, self.below);
        let ratio = both.lost / both.total();
        let inverse = 1.0 / self.at.total() + 1.0 / self.below.total();
        // The test of two proportions, with the variance of losses in bursts: independent losses
        // would make a burst look like a policer.
        let variance = ratio * (1.0 - ratio) * inverse * self.dispersion;
        at - below > RISE_DEVIATIONS * variance.sqrt()
    }

    /// Starts again with packets from here on: the rate has changed so much that what was sent
    /// before shows nothing of what will be lost.
    pub(super) fn start_over(&mut self, next_packet_number: u64, rate: SendingRate) {
        self.rates = VecDeque::from([(0, SendingRate::Above), (next_packet_number, rate)]);
        // `all` and `calm` stay: they bound random loss from above at any rate.
        for share in [
            &mut self.at,
            &mut self.below,
            &mut self.recent,
            &mut self.quiet,
        ] {
            *share = Share::default();
        }
        self.estimate = 0.0;
    }

    /// Notes the rate at which packets from this number on are sent.
    pub(super) fn on_sending_rate(&mut self, next_packet_number: u64, rate: SendingRate) {
        match self.rates.back_mut() {
            Some((_, last)) if *last == rate => {}
            // Nothing was sent at the last rate: no stretch of its own.
            Some((from, last)) if *from == next_packet_number => *last = rate,
            _ => self.rates.push_back((next_packet_number, rate)),
        }
    }

    /// Counts packets delivered, by the rate at which the last of them was sent.
    pub(super) fn on_delivered(&mut self, largest_acked: u64, packets: f64) {
        let rate = self.sending_rate_of(largest_acked);
        self.round[rate as usize].delivered += packets;
    }

    /// Counts packets declared lost, by the rate at which the last of them was sent.
    pub(super) fn on_lost(&mut self, largest_lost: u64, packets: f64) {
        let rate = self.sending_rate_of(largest_lost);
        self.round[rate as usize].lost += packets;
    }

    /// Takes back losses, recent ones, that have been delivered after all.
    pub(super) fn on_spurious(&mut self, largest_acked: u64, packets: f64) {
        let rate = self.sending_rate_of(largest_acked);
        self.round[rate as usize].lost -= packets;
    }

    /// Ends a round. `quiet`: no queue stood in it; `growing`: bandwidth still followed the sending
    /// rate, so that what was lost at any rate was not lost to congestion.
    pub(super) fn end_round(&mut self, oldest_in_flight: u64, quiet: bool, growing: bool) {
        let whole = self.whole_round();
        let [above, at, below] = std::mem::take(&mut self.round);
        for share in [above, at, below] {
            // A round without packets at this rate says nothing, and fading would forget what is
            // known.
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
        // Losses while a queue stands may be congestion and teach nothing of random loss. While
        // bandwidth grows nothing is sent at the model's rate, and start-up's losses stand in.
        if quiet {
            self.update_dispersion(if growing { whole } else { at });
            self.quiet.add(KEEP_ALL, at);
            // Added without fading again: it is part of the round that was added above.
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
        self.forget_sending_rates(oldest_in_flight);
        self.estimate = self.estimate_now();
        // A share of which too little is known bounds nothing.
        let quiet = self.quiet.ratio().unwrap_or(MAX_RANDOM_LOSS);
        let all = self.all.at_most().unwrap_or(MAX_RANDOM_LOSS);
        let calm = self.calm.at_most().unwrap_or(MAX_RANDOM_LOSS);
        self.upper_bound = quiet.min(all).min(calm);
    }

    fn update_dispersion(&mut self, round: Share) {
        // With nothing expected there is no variance to compare: the dispersion stays as it is.
        let usual = self.at.ratio().or_else(|| self.all.ratio());
        let expected = usual.unwrap_or(0.0) * round.total();
        if expected < LEAST_EXPECTED {
            return;
        }
        let deviation = round.lost - expected;
        let dispersion = deviation * deviation / expected;
        // Never below independent losses: a path that loses every tenth packet by count would
        // otherwise make one more of them congestion.
        self.dispersion = (self.dispersion * KEEP + dispersion * (1.0 - KEEP)).max(1.0);
    }

    fn estimate_now(&self) -> f64 {
        // Without a sample every loss is taken for congestion: the cautious assumption.
        let Some(at) = self.at.ratio() else {
            return 0.0;
        };
        // Upper bounds for the two with few samples, so that chance does not lower the estimate.
        let below = self.below.at_most().unwrap_or(1.0);
        let recent = self.recent.at_most().unwrap_or(1.0);
        at.min(below).min(recent).clamp(0.0, MAX_RANDOM_LOSS)
    }

    fn sending_rate_of(&self, number: u64) -> SendingRate {
        let entry = self.rates.iter().rev().find(|(from, _)| *from <= number);
        // A packet whose rate is forgotten counts as sent above: its loss then shows the least.
        entry.map_or(SendingRate::Above, |(_, rate)| *rate)
    }

    fn forget_sending_rates(&mut self, oldest: u64) {
        while self.rates.get(1).is_some_and(|(from, _)| *from <= oldest) {
            self.rates.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A path after so many rounds of a hundred packets, each with this many lost.
    fn after(rounds: impl IntoIterator<Item = u32>, quiet: bool) -> RandomLossEstimator {
        let mut estimator = RandomLossEstimator::new();
        estimator.on_sending_rate(0, SendingRate::At);
        for lost in rounds {
            estimator.on_delivered(1, f64::from(100 - lost));
            estimator.on_lost(1, f64::from(lost));
            estimator.end_round(0, quiet, false);
        }
        estimator
    }

    #[test]
    fn a_round_is_flooded_when_more_is_lost_than_any_path_loses_by_itself() {
        let flooded = |delivered, lost| {
            let mut estimator = RandomLossEstimator::new();
            estimator.on_delivered(1, delivered);
            estimator.on_lost(1, lost);
            estimator.is_flooded()
        };
        assert!(flooded(40.0, 160.0));
        assert!(!flooded(90.0, 110.0), "that may be chance");
        assert!(!flooded(4.0, 40.0), "so few say nothing");
        assert!(!flooded(1600.0, 400.0));
    }

    #[test]
    fn on_a_clean_path_every_loss_is_more_than_it_loses_by_itself() {
        let estimator = after([0; 20], true);
        assert!(estimator.is_clean());
        assert!(estimator.is_exceeded(1.0, 100.0));
    }

    #[test]
    fn random_loss_is_hardly_ever_more_than_the_path_loses() {
        for seed in 0..10 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut round = || (0..100).filter(|_| rng.random::<f64>() < 0.05).count() as u32;
            let estimator = after((0..200).map(|_| round()), true);
            assert!(!estimator.is_clean());
            let exceeding = (0..1000).filter(|_| estimator.is_exceeded(f64::from(round()), 100.0));
            let count = exceeding.count();
            assert!(count <= 20, "seed {seed}: {count} of 1000 rounds");
            assert!(estimator.is_exceeded(30.0, 100.0), "seed {seed}");
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
    fn what_is_lost_while_a_queue_stands_is_no_random_loss() {
        let estimator = after([0; 20].into_iter().chain([0; 20]), true);
        let mut queued = estimator.clone();
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
        let mut estimator = RandomLossEstimator::new();
        let mut rounds = |number, lost: f64| {
            for _ in 0..5 {
                estimator.on_delivered(number, 100.0 - lost);
                estimator.on_lost(number, lost);
                estimator.end_round(0, false, false);
            }
            estimator.on_sending_rate(1000, SendingRate::At);
        };
        rounds(1, 30.0);
        rounds(1000, 1.0);
        assert!(estimator.is_exceeded(12.0, 100.0));
        assert!(!estimator.is_exceeded(3.0, 100.0));
    }

    /// Cycles of six rounds of a hundred packets at the model's rate and half a round below it,
    /// each packet lost with its rate's chance. In how many more is lost at the rate.
    fn rises(seed: u64, at: f64, below: f64) -> usize {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut estimator = RandomLossEstimator::new();
        let mut next = 0;
        let cycles = (0..50).filter(|_| {
            for (rounds, packets, rate, chance) in [
                (6, 100, SendingRate::At, at),
                (1, 50, SendingRate::Below, below),
            ] {
                estimator.on_sending_rate(next, rate);
                for _ in 0..rounds {
                    for _ in 0..packets {
                        if rng.random::<f64>() < chance {
                            estimator.on_lost(next, 1.0);
                        } else {
                            estimator.on_delivered(next, 1.0);
                        }
                        next += 1;
                    }
                    estimator.end_round(next, true, false);
                }
            }
            estimator.rises_with_rate()
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
    fn a_policer_shows_by_what_it_lets_through_below_its_rate() {
        for seed in 0..100 {
            assert!(rises(seed, 0.3, 0.07) > 30, "seed {seed}");
        }
    }

    #[test]
    fn what_was_learned_at_another_rate_is_void() {
        let mut estimator = after([30; 20], true);
        assert!(estimator.get() > 0.25);
        estimator.start_over(1000, SendingRate::At);
        assert!(estimator.get() < 0.001);
        // What was sent before is still coming in.
        estimator.on_lost(999, 100.0);
        estimator.end_round(0, true, false);
        assert!(estimator.get() < 0.001);
    }
}
