//! Duplication: a packet becomes two, the copy right behind it. Copies are not copied again.

use crate::{
    impair::{
        Effect, Impairment, ImpairmentSettings, bernoulli::Bernoulli, check_correlation,
        event::ImpairmentEvent,
    },
    in_flight::InFlight,
    rng::RngStreams,
    units::UnitError,
};

#[derive(Debug)]
pub(crate) struct Duplicate {
    happens: Bernoulli,
}

impl Impairment for Duplicate {
    const IMPAIRS_COPIES: bool = false;
    const IN_TC: bool = true;

    fn new(settings: &ImpairmentSettings, streams: RngStreams) -> Self {
        Self {
            happens: Bernoulli::new(
                settings.duplicate.unwrap_or_default(),
                settings.duplicate_correlation.unwrap_or_default(),
                streams.by_packet("duplicate"),
            ),
        }
    }

    fn check(settings: &ImpairmentSettings) -> Result<(), UnitError> {
        check_correlation("duplicate_correlation", settings.duplicate_correlation)
    }

    fn sample(&mut self, packet: &InFlight) -> Option<ImpairmentEvent> {
        // Never for a copy, which `IMPAIRS_COPIES` keeps away.
        let sample = self.happens.sample(packet.index, false);
        sample.map(|_| ImpairmentEvent::Duplicate)
    }

    fn owns(event: ImpairmentEvent) -> bool {
        event == ImpairmentEvent::Duplicate
    }

    fn apply(_event: ImpairmentEvent, _packet: &mut InFlight) -> Option<Effect> {
        // The link makes the copy, and only once it is clear that this packet is not lost.
        Some(Effect::Duplicated)
    }
}
