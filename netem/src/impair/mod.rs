//! Impairments, one folder each: `settings` is what a profile says, `model` what happens to packets.
//!
//! The impairments that happen to single packets by chance implement [`Impairment`] and stand in
//! the table [`random_impairments`], in the order in which a packet meets them. From that table
//! the parser takes its keys, the link its pipeline, the conversion to `tc netem` what it must
//! refuse, and a recording the names of its events. The others (queue, rate, delay, jitter,
//! reordering, slots, cross traffic) each have a fixed place in [`Link`](crate::link::Link).
//!
//! A folder relies on `units`, `rng`, `in_flight` and `record`, and on no other folder except
//! where it contains that impairment; it knows neither the profile nor the link.

pub(crate) mod bernoulli;
pub(crate) mod corrupt;
pub(crate) mod cross_traffic;
pub(crate) mod delay;
pub(crate) mod duplicate;
pub(crate) mod event;
pub(crate) mod jitter;
pub(crate) mod loss;
pub(crate) mod position;
pub(crate) mod queue;
pub(crate) mod rate;
pub(crate) mod reorder;
pub(crate) mod slots;
pub(crate) mod truncate;

use std::fmt;

use self::event::ImpairmentEvent;
use crate::{
    impair,
    in_flight::InFlight,
    record::PacketOutcome,
    rng::RngStreams,
    units::{Percent, UnitError},
};

/// Calls `$then!` with the tokens in braces and the table of random impairments.
///
/// An entry is `key: type => model`, with the description of the key above it and further keys of
/// the same impairment in brackets behind it. The order is that of the pipeline.
macro_rules! random_impairments {
    ($then:ident! { $($context:tt)* }) => {
        $then! {
            $($context)*
            impairments {
                /// Model of the loss. Default none.
                loss: impair::loss::LossModel => impair::loss::Loss [
                    /// Position of loss, duplication and corruption. Default `"after-queue"`.
                    loss_position: impair::position::LossPosition,
                ]
                /// Share of packets that arrive twice. Default none. A lost packet is not
                /// duplicated.
                duplicate: Percent => impair::duplicate::Duplicate [
                    /// Correlation of a packet's duplication with that of the next, from 0 to
                    /// below 100 %. Default 0.
                    duplicate_correlation: Percent,
                ]
                /// Share of packets in which one random bit of the payload is flipped. Default
                /// none.
                corrupt: Percent => impair::corrupt::Corrupt [
                    /// Correlation of a packet's corruption with that of the next, from 0 to
                    /// below 100 %. Default 0.
                    corrupt_correlation: Percent,
                ]
                /// Share of packets that lose their end, a random part of the payload. Default
                /// none.
                truncate: Percent => impair::truncate::Truncate
            }
        }
    };
}
pub(crate) use random_impairments;

/// An impairment that happens to single packets by chance.
///
/// Sampling and applying are apart, so that a recording can be replayed.
pub(crate) trait Impairment: fmt::Debug + Sized {
    /// Set if copies that the link made are impaired as well.
    const IMPAIRS_COPIES: bool = true;
    /// Set if `tc netem` has an option for this impairment.
    const IN_TC: bool = false;
    /// Name of its event in a recording, where [`ImpairmentEvent`] has no variant for it.
    const OTHER_EVENT: Option<&'static str> = None;

    /// Creates the impairment that `settings` ask for. It samples from a stream under its own name.
    fn new(settings: &ImpairmentSettings, streams: RngStreams) -> Self;

    /// Checks what the types of its keys cannot.
    ///
    /// # Errors
    /// A value, or a combination of values, that makes no sense.
    fn check(_settings: &ImpairmentSettings) -> Result<(), UnitError> {
        Ok(())
    }

    /// Samples what happens to this packet; `None` for nothing.
    fn sample(&mut self, packet: &InFlight) -> Option<ImpairmentEvent>;

    /// Returns whether `event` is one of this impairment's.
    fn owns(event: ImpairmentEvent) -> bool {
        matches!(event, ImpairmentEvent::Other(name, _) if Self::OTHER_EVENT == Some(name))
    }

    /// Applies `event`, one of its own, to the packet; `None` if the packet is such that nothing
    /// changes.
    fn apply(event: ImpairmentEvent, packet: &mut InFlight) -> Option<Effect> {
        // Impairments with an event of their own override this.
        let ImpairmentEvent::Other(name, value) = event else {
            return None;
        };
        Self::change(value, packet).then_some(Effect::Changed(name))
    }

    /// Changes the packet as an event with this value says, for impairments that only change
    /// packets; returns `false` if the packet is such that nothing changes.
    fn change(_value: u64, _packet: &mut InFlight) -> bool {
        false
    }
}

/// Effect of an impairment on a packet, for the pipeline and the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The packet is gone.
    Lost(PacketOutcome),
    /// The packet has a copy.
    Duplicated,
    /// A bit was flipped.
    Corrupted,
    /// The end was cut off.
    Truncated,
    /// An impairment of this name changed the packet.
    Changed(&'static str),
}

macro_rules! settings_of_impairments {
    (impairments { $(
        $(#[$doc:meta])* $key:ident: $type:ty => $model:ty $([
            $($(#[$more_doc:meta])* $more_key:ident: $more_type:ty,)*
        ])?
    )* }) => {
        /// The keys of the random impairments in one direction; `None` is the key's default.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct ImpairmentSettings {
            $($(#[$doc])* pub $key: Option<$type>,
            $($($(#[$more_doc])* pub $more_key: Option<$more_type>,)*)?)*
        }

        /// The keys, in order of the table, that `tc netem` has no option for, and whether each
        /// is given.
        pub(crate) fn given_but_not_in_tc(
            settings: &ImpairmentSettings,
        ) -> impl Iterator<Item = &'static str> {
            [$((stringify!($key), settings.$key.is_some(), <$model>::IN_TC)),*]
                .into_iter()
                .filter(|(_, given, in_tc)| *given && !in_tc)
                .map(|(key, ..)| key)
        }

        /// Checks what the types of the keys cannot, impairment by impairment.
        pub(crate) fn check(settings: &ImpairmentSettings) -> Result<(), UnitError> {
            $(<$model>::check(settings)?;)*
            Ok(())
        }

        /// The event of this name, of an impairment that has no variant of its own.
        pub(crate) fn other_event(name: &str) -> Option<&'static str> {
            [$(<$model>::OTHER_EVENT),*].into_iter().flatten().find(|other| *other == name)
        }
    };
}
random_impairments!(settings_of_impairments! {});

/// Refuses a correlation of 100 %: what happened to the first packet would happen to all.
pub(crate) fn check_correlation(key: &str, correlation: Option<Percent>) -> Result<(), UnitError> {
    if correlation == Some(Percent::HUNDRED) {
        return Err(UnitError::new(format!(
            "{key} of 100% would treat all packets alike: expected less"
        )));
    }
    Ok(())
}
