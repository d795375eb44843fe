//! Loss on the wire: each packet by itself, by a chain of states, or by its index.
//!
//! The loss of a packet depends on its index alone, not on which packets before it were
//! dropped elsewhere: two senders that differ meet the same losses.

use super::{
    by_index::{LossList, LossPattern, NthLoss},
    correlated::mix,
    four_state::FourStateThresholds,
    gilbert_elliott::GilbertThresholds,
    settings::LossModel,
};
use crate::{
    impair::{Effect, Impairment, ImpairmentSettings, event::ImpairmentEvent},
    in_flight::InFlight,
    record::PacketOutcome,
    rng::{RngStream, RngStreams, Threshold, high, low},
};

#[derive(Debug)]
pub(crate) struct Loss {
    model: Model,
    stream: RngStream,
    /// The first packet the chain has not stepped for.
    next: u64,
    /// Set while the two-state chain is in its bad state.
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

/// State of the 4-state chain; the numbers are those of `tc netem`.
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

impl Model {
    fn new(model: &LossModel) -> Self {
        match model {
            LossModel::Iid(probability) => Self::Iid(probability.threshold()),
            LossModel::GilbertElliott(model) => Self::Gilbert(model.thresholds()),
            LossModel::FourState(model) => Self::FourState(model.thresholds()),
            LossModel::Correlated(model) => Self::Gilbert(model.thresholds()),
            LossModel::NetemCorrelated(model) => {
                let (probability, correlation) = model.kernel();
                Self::Netem {
                    probability,
                    correlation,
                }
            }
            LossModel::List(list) => Self::List(list.clone()),
            LossModel::Nth(nth) => Self::Nth(*nth),
            LossModel::Pattern(pattern) => Self::Pattern(pattern.clone()),
        }
    }
}

impl Impairment for Loss {
    const IMPAIRS_COPIES: bool = false;
    const IN_TC: bool = true;

    fn new(settings: &ImpairmentSettings, streams: RngStreams) -> Self {
        Self {
            model: Model::new(settings.loss.as_ref().unwrap_or(&LossModel::NONE)),
            stream: streams.by_packet("loss"),
            next: 0,
            bad: false,
            state: State::GoodInGap,
            // The kernel takes a random number, which no seed of its own covers.
            last: 1 << 31,
        }
    }

    fn sample(&mut self, packet: &InFlight) -> Option<ImpairmentEvent> {
        // By the packet's index, and only for originals: indices never decrease, as chains need.
        let outcome = self.outcome_of(packet.index)?;
        Some(match outcome {
            PacketOutcome::LostBurst => ImpairmentEvent::LostBurst,
            _ => ImpairmentEvent::Lost,
        })
    }

    fn owns(event: ImpairmentEvent) -> bool {
        matches!(event, ImpairmentEvent::Lost | ImpairmentEvent::LostBurst)
    }

    fn apply(event: ImpairmentEvent, _packet: &mut InFlight) -> Option<Effect> {
        Some(Effect::Lost(match event {
            ImpairmentEvent::LostBurst => PacketOutcome::LostBurst,
            _ => PacketOutcome::LostWire,
        }))
    }
}

impl Loss {
    /// Loses packets by `model` from now on. The states of the chains stay as they are.
    pub(crate) fn set_model(&mut self, model: &LossModel) {
        self.model = Model::new(model);
    }

    /// Returns the outcome of packet `index`, if it is lost. Indices must not decrease.
    fn outcome_of(&mut self, index: u64) -> Option<PacketOutcome> {
        let lost = match &self.model {
            Model::Iid(probability) => {
                // Nothing is sampled for a loss of 0: most links have none, and pay for it otherwise.
                !probability.is_never() && probability.hits(high(self.stream.at(index, false)))
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
        // A chain that the schedule switches to later starts here, not at packet 0.
        self.next = index + 1;
        lost.then_some(PacketOutcome::LostWire)
    }

    /// Steps a chain up to this packet, also for packets that never came here.
    fn chain(
        &mut self,
        index: u64,
        mut step: impl FnMut(&mut Self) -> Option<PacketOutcome>,
    ) -> Option<PacketOutcome> {
        let mut outcome = None;
        // Also for packets that were lost before they came here: their steps belong to the chain.
        while self.next <= index {
            outcome = step(self);
        }
        outcome
    }

    fn next_sample(&mut self) -> u64 {
        let sample = self.stream.at(self.next, false);
        self.next += 1;
        sample
    }

    /// As in `tc netem`, the old state decides the loss.
    fn two_state(&mut self, model: &GilbertThresholds) -> Option<PacketOutcome> {
        let sample = self.next_sample();
        let (change, loss, outcome) = if self.bad {
            (model.to_good, model.bad, PacketOutcome::LostBurst)
        } else {
            (model.to_bad, model.good, PacketOutcome::LostWire)
        };
        // Two independent halves of one sample: the kernel takes two random numbers here.
        self.bad ^= change.hits(low(sample));
        loss.hits(high(sample)).then_some(outcome)
    }

    /// As in `tc netem`, the new state decides the loss.
    fn four_state(&mut self, model: &FourStateThresholds) -> Option<PacketOutcome> {
        let sample = high(self.next_sample());
        self.state = match self.state {
            // The order of the guards is that of the kernel's comparisons (`loss_4state`).
            State::GoodInGap if model.isolated.hits(sample) => State::LostInGap,
            State::GoodInGap if model.leave_gap.hits(sample) => State::LostInBurst,
            State::GoodInBurst if model.resume.hits(sample) => State::LostInBurst,
            State::LostInBurst if model.pause.hits(sample) => State::GoodInBurst,
            State::LostInBurst if model.leave_burst.hits(sample) => State::GoodInGap,
            State::LostInGap => State::GoodInGap,
            same => same,
        };
        match self.state {
            State::GoodInGap | State::GoodInBurst => None,
            State::LostInBurst => Some(PacketOutcome::LostBurst),
            State::LostInGap => Some(PacketOutcome::LostWire),
        }
    }

    fn netem(&mut self, probability: u32, correlation: u32) -> Option<PacketOutcome> {
        let fresh = high(self.next_sample());
        self.last = mix(fresh, self.last, correlation);
        // `<=`, as in the kernel; a probability of 0 must still lose nothing.
        (probability > 0 && self.last <= probability).then_some(PacketOutcome::LostWire)
    }
}
