//! The random impairments of a link: what they do to a packet is sampled or replayed from a
//! recording, and recorded if that is wanted.

use crate::{
    Direction, Time,
    impair::{
        self, Effect, Impairment, ImpairmentSettings, delay::Delay, event::ImpairmentEvent,
        random_impairments,
    },
    in_flight::InFlight,
    profile::Phase,
    record::PacketOutcome,
    recording::{Recording, RecordingEntry},
    rng::RngStreams,
};

/// The random impairments of a link, in the order of their table.
#[derive(Debug)]
pub(super) struct RandomImpairments {
    models: Models,
    history: History,
}

/// Effects on a packet that is not lost.
#[derive(Debug, Default)]
pub(super) struct Impaired {
    pub(super) copy: Option<Box<InFlight>>,
    pub(super) corrupted: bool,
    pub(super) truncated: bool,
    /// Impairments without a count of their own that changed it; empty without an allocation.
    pub(super) changed: Vec<&'static str>,
}

macro_rules! models {
    (impairments { $(
        $(#[$doc:meta])* $key:ident: $type:ty => $model:ty $([ $($more:tt)* ])?
    )* }) => {
        #[derive(Debug)]
        struct Models {
            $($key: $model,)*
        }

        impl Models {
            fn new(settings: &ImpairmentSettings, streams: RngStreams) -> Self {
                Self {
                    $($key: Impairment::new(settings, streams),)*
                }
            }

            /// Leads the packet through all impairments; `Err` is how it was lost.
            fn apply(
                &mut self,
                history: &mut History,
                packet: &mut InFlight,
            ) -> Result<Impaired, PacketOutcome> {
                let mut impaired = Impaired::default();
                // A macro, not a list of trait objects: the order is the table's, and no call on a
                // packet's way is virtual.
                $(history.step(&mut self.$key, packet, &mut impaired)?;)*
                Ok(impaired)
            }
        }
    };
}
random_impairments!(models! {});

impl RandomImpairments {
    pub(super) fn new(
        settings: &ImpairmentSettings,
        phase: &Phase,
        direction: Direction,
        streams: RngStreams,
    ) -> Self {
        let mut impairments = Self {
            models: Models::new(settings, streams),
            history: History {
                direction,
                replay: None,
                recorded: None,
            },
        };
        impairments.set_phase(phase);
        impairments
    }

    /// From now on packets are impaired as `settings` say; a replay continues.
    pub(super) fn replace(
        &mut self,
        settings: &ImpairmentSettings,
        phase: &Phase,
        streams: RngStreams,
    ) {
        let mut models = Models::new(settings, streams);
        // Not a new one: the schedule changes the loss model as well, and the state of its chain
        // must not depend on which of the two did.
        std::mem::swap(&mut models.loss, &mut self.models.loss);
        self.models = models;
        self.set_phase(phase);
    }

    pub(super) fn set_phase(&mut self, phase: &Phase) {
        self.models.loss.set_model(&phase.loss);
    }

    pub(super) fn set_replay(&mut self, recording: Recording) {
        self.history.replay = Some(recording);
    }

    /// The shortest delay of the recording being replayed, if there is one.
    pub(super) fn replay_shortest_ns(&self) -> Option<u64> {
        self.history.replay.as_ref()?.shortest_ns()
    }

    pub(super) fn record_events(&mut self, on: bool) {
        let recorded = &mut self.history.recorded;
        *recorded = on.then(|| recorded.take().unwrap_or_default());
    }

    pub(super) fn take_recorded(&mut self) -> Vec<RecordingEntry> {
        let recorded = self.history.recorded.as_mut();
        recorded.map(std::mem::take).unwrap_or_default()
    }

    /// Leads the packet through all impairments; `Err` is how it was lost.
    pub(super) fn apply(&mut self, packet: &mut InFlight) -> Result<Impaired, PacketOutcome> {
        self.models.apply(&mut self.history, packet)
    }

    /// Puts the packet on the wire.
    pub(super) fn propagate(&mut self, now: Time, in_flight: Box<InFlight>, delay: &mut Delay) {
        // Delays are replayed here, where they act; `step` has left them alone.
        let replayed = self.history.replayed(&in_flight, |event| match event {
            ImpairmentEvent::Delay(ns) => Some(ns),
            _ => None,
        });
        let transit = delay.transit(now, &in_flight, replayed);
        // The fixed delay is not recorded: it is the profile's, and a replay may be on another.
        if transit.delay_ns != delay.fixed_ns() {
            let event = ImpairmentEvent::Delay(transit.delay_ns);
            self.history.record(&in_flight, event);
        }
        delay.enter(transit, in_flight);
    }
}

/// The recording that events are read from, and the one they are added to.
#[derive(Debug)]
struct History {
    direction: Direction,
    /// Recording that is replayed instead of sampling.
    replay: Option<Recording>,
    /// Events so far, if they are recorded.
    recorded: Option<Vec<RecordingEntry>>,
}

impl History {
    /// One impairment's step: `Err` if it loses the packet.
    fn step<I: Impairment>(
        &mut self,
        model: &mut I,
        packet: &mut InFlight,
        impaired: &mut Impaired,
    ) -> Result<(), PacketOutcome> {
        if packet.duplicate && !I::IMPAIRS_COPIES {
            return Ok(());
        }
        // In a replay the model is not even asked: packets that are not in it are not impaired.
        let own = |event| I::owns(event).then_some(event);
        let event = match self.replayed(packet, own) {
            Some(replayed) => replayed,
            None => model.sample(packet),
        };
        let Some(event) = event else {
            return Ok(());
        };
        // Recorded only if it changed something: a recording of another run may flip a bit that
        // this packet does not have.
        let Some(effect) = I::apply(event, packet) else {
            return Ok(());
        };
        self.record(packet, event);
        match effect {
            Effect::Lost(outcome) => return Err(outcome),
            // As the packet is now: what later impairments do happens to each by itself.
            Effect::Duplicated => impaired.copy = Some(packet.copy()),
            Effect::Corrupted => impaired.corrupted = true,
            Effect::Truncated => impaired.truncated = true,
            Effect::Changed(name) => impaired.changed.push(name),
        }
        Ok(())
    }

    fn record(&mut self, in_flight: &InFlight, event: ImpairmentEvent) {
        if let Some(recorded) = &mut self.recorded {
            recorded.push(RecordingEntry {
                direction: self.direction,
                index: in_flight.index,
                copy: in_flight.duplicate,
                event,
            });
        }
    }

    /// Returns the first event of the packet that `find` accepts; `None` without a replay.
    fn replayed<T>(
        &self,
        in_flight: &InFlight,
        find: impl Fn(ImpairmentEvent) -> Option<T>,
    ) -> Option<Option<T>> {
        let recording = self.replay.as_ref()?;
        let mut events = recording.events(self.direction, in_flight.index, in_flight.duplicate);
        Some(events.find_map(find))
    }
}
