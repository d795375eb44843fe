//! Loss on the wire: each packet by itself, after a chain of states, or by its number.
//!
//! Whether a packet is lost depends on its index alone, not on which packets before it were
//! dropped elsewhere: two senders that differ meet the same losses.

use crate::{
    Direction,
    profile::{
        FourStateThresholds, GilbertThresholds, LossList, LossModel, LossPattern, NthLoss, mix,
    },
    record::Fate,
    rng::{Draws, Threshold, high, low},
};

#[derive(Debug)]
pub(crate) struct Loss {
    model: Model,
    draws: Draws,
    /// The next packet the chain has not been told of.
    next: u64,
    /// Is the two-state chain in its bad state?
    bad: bool,
    state: State,
    /// The last answer of `tc netem`'s generator.
    last: u32,
}

#[derive(Debug, Clone)]
enum Model {
    Iid(Threshold),
    Gilbert(GilbertThresholds),
    FourState(FourStateThresholds),
    Netem { probability: u32, correlation: u32 },
    List(LossList),
    Nth(NthLoss),
    Pattern(LossPattern),
}

/// Where the 4-state chain is; the numbers are those of `tc netem`.
#[derive(Debug, Clone, Copy)]
enum State {
    /// 1.
    GoodInGap,
    /// 2.
    GoodInBurst,
    /// 3.
    LostInBurst,
    /// 4.
    LostInGap,
}

impl Loss {
    pub(crate) fn new(seed: u64, direction: Direction) -> Self {
        Self {
            model: Model::Iid(Threshold::default()),
            draws: Draws::new(seed, direction, "loss"),
            next: 0,
            bad: false,
            state: State::GoodInGap,
            // The kernel takes a random number, which no seed of its own covers.
            last: 1 << 31,
        }
    }

    /// From here on, packets are lost like this.
    pub(crate) fn set_model(&mut self, model: &LossModel) {
        self.model = match model {
            LossModel::Iid(probability) => Model::Iid(probability.threshold()),
            LossModel::GilbertElliott(model) => Model::Gilbert(model.thresholds()),
            LossModel::FourState(model) => Model::FourState(model.thresholds()),
            LossModel::Correlated(model) => Model::Gilbert(model.thresholds()),
            LossModel::NetemCorrelated(model) => {
                let (probability, correlation) = model.kernel();
                Model::Netem {
                    probability,
                    correlation,
                }
            }
            LossModel::List(list) => Model::List(list.clone()),
            LossModel::Nth(nth) => Model::Nth(*nth),
            LossModel::Pattern(pattern) => Model::Pattern(pattern.clone()),
        };
    }

    /// How packet `index` is lost, if it is. Indices must not decrease.
    pub(crate) fn verdict(&mut self, index: u64) -> Option<Fate> {
        let lost = match &self.model {
            Model::Iid(probability) => {
                !probability.is_never() && probability.hits(high(self.draws.at(index, false)))
            }
            Model::List(list) => list.contains(index),
            Model::Nth(nth) => nth.contains(index),
            Model::Pattern(pattern) => pattern.contains(index),
            &Model::Gilbert(model) => return self.chain(index, |loss| loss.two_state(&model)),
            &Model::FourState(model) => return self.chain(index, |loss| loss.four_state(&model)),
            &Model::Netem {
                probability,
                correlation,
            } => return self.chain(index, |loss| loss.netem(probability, correlation)),
        };
        self.next = index + 1;
        lost.then_some(Fate::LostWire)
    }

    /// A chain also steps for packets that never came here.
    fn chain(
        &mut self,
        index: u64,
        mut step: impl FnMut(&mut Self) -> Option<Fate>,
    ) -> Option<Fate> {
        let mut fate = None;
        while self.next <= index {
            fate = step(self);
        }
        fate
    }

    fn draw(&mut self) -> u64 {
        let draw = self.draws.at(self.next, false);
        self.next += 1;
        draw
    }

    /// As in `tc netem`, the old state decides the loss.
    fn two_state(&mut self, model: &GilbertThresholds) -> Option<Fate> {
        let draw = self.draw();
        let (change, loss, fate) = if self.bad {
            (model.to_good, model.bad, Fate::LostBurst)
        } else {
            (model.to_bad, model.good, Fate::LostWire)
        };
        self.bad ^= change.hits(low(draw));
        loss.hits(high(draw)).then_some(fate)
    }

    /// As in `tc netem`, the new state decides the loss.
    fn four_state(&mut self, model: &FourStateThresholds) -> Option<Fate> {
        let draw = high(self.draw());
        self.state = match self.state {
            State::GoodInGap if model.isolated.hits(draw) => State::LostInGap,
            State::GoodInGap if model.leave_gap.hits(draw) => State::LostInBurst,
            State::GoodInBurst if model.resume.hits(draw) => State::LostInBurst,
            State::LostInBurst if model.pause.hits(draw) => State::GoodInBurst,
            State::LostInBurst if model.leave_burst.hits(draw) => State::GoodInGap,
            State::LostInGap => State::GoodInGap,
            same => same,
        };
        match self.state {
            State::GoodInGap | State::GoodInBurst => None,
            State::LostInBurst => Some(Fate::LostBurst),
            State::LostInGap => Some(Fate::LostWire),
        }
    }

    fn netem(&mut self, probability: u32, correlation: u32) -> Option<Fate> {
        let fresh = high(self.draw());
        self.last = mix(fresh, self.last, correlation);
        (probability > 0 && self.last <= probability).then_some(Fate::LostWire)
    }
}
