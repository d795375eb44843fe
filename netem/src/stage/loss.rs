//! Loss on the wire: independent, or in bursts (Gilbert 1960, Elliott 1963).
//!
//! Whether a packet is lost depends on its index alone, not on which packets before it were
//! dropped elsewhere: two senders that differ meet the same losses.

use crate::{
    link::Direction,
    profile::{GilbertThresholds, LossModel},
    record::Fate,
    rng::{Draws, Threshold, high, low},
};

#[derive(Debug)]
pub(crate) struct Loss {
    model: Model,
    draws: Draws,
    /// The next packet the chain has not been told of.
    next: u64,
    /// Is the chain in its bad state?
    bad: bool,
}

#[derive(Debug, Clone, Copy)]
enum Model {
    Iid(Threshold),
    Gilbert(GilbertThresholds),
}

impl Loss {
    pub(crate) fn new(seed: u64, direction: Direction) -> Self {
        Self {
            model: Model::Iid(Threshold::default()),
            draws: Draws::new(seed, direction, "loss"),
            next: 0,
            bad: false,
        }
    }

    /// From here on, packets are lost like this.
    pub(crate) fn set_model(&mut self, model: &LossModel) {
        self.model = match model {
            LossModel::Iid(probability) => Model::Iid(probability.threshold()),
            LossModel::GilbertElliott(model) => Model::Gilbert(model.thresholds()),
        };
    }

    /// How packet `index` is lost, if it is. Indices must not decrease.
    pub(crate) fn verdict(&mut self, index: u64) -> Option<Fate> {
        match self.model {
            Model::Iid(probability) => {
                let lost =
                    !probability.is_never() && probability.hits(high(self.draws.at(index, false)));
                self.next = index + 1;
                lost.then_some(Fate::LostWire)
            }
            Model::Gilbert(model) => {
                // The chain also steps for packets that never came here.
                let mut fate = None;
                while self.next <= index {
                    fate = self.step(&model);
                }
                fate
            }
        }
    }

    /// The chain at its next packet. As in `tc netem`, the old state decides the loss.
    fn step(&mut self, model: &GilbertThresholds) -> Option<Fate> {
        let draw = self.draws.at(self.next, false);
        self.next += 1;
        let (change, loss, fate) = if self.bad {
            (model.to_good, model.bad, Fate::LostBurst)
        } else {
            (model.to_bad, model.good, Fate::LostWire)
        };
        self.bad ^= change.hits(low(draw));
        loss.hits(high(draw)).then_some(fate)
    }
}
