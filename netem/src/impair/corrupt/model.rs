//! Corruption: one random bit of the payload is flipped, as `tc netem` does with its `corrupt`.
//!
//! Headers stay whole: a real one that was hit would be dropped by its checksum.

use crate::{
    impair::{
        Effect, Impairment, ImpairmentSettings, bernoulli::Bernoulli, check_correlation,
        event::ImpairmentEvent,
    },
    in_flight::InFlight,
    rng::{RngStreams, low},
    units::UnitError,
};

#[derive(Debug)]
pub(crate) struct Corrupt {
    happens: Bernoulli,
}

impl Impairment for Corrupt {
    const IN_TC: bool = true;

    fn new(settings: &ImpairmentSettings, streams: RngStreams) -> Self {
        Self {
            happens: Bernoulli::new(
                settings.corrupt.unwrap_or_default(),
                settings.corrupt_correlation.unwrap_or_default(),
                streams.by_packet("corrupt"),
            ),
        }
    }

    fn check(settings: &ImpairmentSettings) -> Result<(), UnitError> {
        check_correlation("corrupt_correlation", settings.corrupt_correlation)
    }

    fn sample(&mut self, packet: &InFlight) -> Option<ImpairmentEvent> {
        let sample = self.happens.sample(packet.index, packet.duplicate)?;
        let bits = packet.packet.payload.len() as u64 * 8;
        // The lower half of the sample: the upper one has decided that it happens, and is not
        // uniform any more.
        let bit = (u128::from(low(sample)) * u128::from(bits)) >> 32;
        Some(ImpairmentEvent::Flip(bit as u64))
    }

    fn owns(event: ImpairmentEvent) -> bool {
        matches!(event, ImpairmentEvent::Flip(_))
    }

    fn apply(event: ImpairmentEvent, packet: &mut InFlight) -> Option<Effect> {
        // An empty payload has no bit to flip, and then nothing has happened.
        match event {
            ImpairmentEvent::Flip(bit) if packet.flip(bit) => Some(Effect::Corrupted),
            _ => None,
        }
    }
}
