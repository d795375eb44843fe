//! Truncation: the payload loses its end, at least a byte of it.
//!
//! UDP as such has no such thing, but a tunnel or a careless middlebox may, and a reader of
//! datagrams must survive it. What is cut off no longer weighs on the link.

use crate::{
    impair::{
        Effect, Impairment, ImpairmentSettings, bernoulli::Bernoulli, event::ImpairmentEvent,
    },
    in_flight::InFlight,
    rng::{RngStreams, low},
    units::Percent,
};

#[derive(Debug)]
pub(crate) struct Truncate {
    happens: Bernoulli,
}

impl Impairment for Truncate {
    fn new(settings: &ImpairmentSettings, streams: RngStreams) -> Self {
        let share = settings.truncate.unwrap_or_default();
        Self {
            happens: Bernoulli::new(share, Percent::ZERO, streams.by_packet("truncate")),
        }
    }

    /// The length that is left is uniform, from 0 on.
    fn sample(&mut self, packet: &InFlight) -> Option<ImpairmentEvent> {
        let sample = self.happens.sample(packet.index, packet.duplicate)?;
        let bytes = packet.packet.payload.len() as u64;
        // Always less than all of it: at least one byte is cut.
        let left = (u128::from(low(sample)) * u128::from(bytes)) >> 32;
        Some(ImpairmentEvent::Cut(left as u64))
    }

    fn owns(event: ImpairmentEvent) -> bool {
        matches!(event, ImpairmentEvent::Cut(_))
    }

    fn apply(event: ImpairmentEvent, packet: &mut InFlight) -> Option<Effect> {
        // A payload that is no longer than that stays whole, and then nothing has happened.
        match event {
            ImpairmentEvent::Cut(bytes) if packet.cut(bytes) => Some(Effect::Truncated),
            _ => None,
        }
    }
}
