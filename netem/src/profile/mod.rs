//! The `[network]` table of a scenario.
//!
//! ```toml
//! [network]                 # both directions
//! rate = "20mbit"
//! delay = "40ms"            # one way
//! queue = "1bdp"
//! loss = "1%"
//!
//! [network.reverse]         # what is different on the way back
//! rate = "2mbit"
//! loss = "0%"
//!
//! [[network.schedule]]      # what changes, and when
//! at = "5s"
//! rate = "5mbit"
//! ```
//!
//! A table may begin with a network known by name, `preset = "lte"`, and say what is different:
//! each of its keys takes the place of the preset's key of that name and table. A
//! trace, a schedule or a table of jitter may be in a file: [`read_named_files`].
//!
//! [`NetworkProfile`] is the table as written; [`DirectionProfile`] is one direction with every
//! default filled in and every quantity in base units. The keys mean what they mean to
//! `tc netem` (tc-netem(8)) unless their description says otherwise.
//!
//! Every quantity is written with its unit. Unless its key says otherwise, a share is from 0 to
//! 100 % in steps of 10⁻¹⁰ %, a time from 0 to ten years in nanoseconds, a rate from 1 bit/s to
//! 1 Pbit/s, and a size from 0 to 1 EiB; what is outside is refused, with its line.

mod direction;
mod files;
mod preset;
mod schedule;
mod tc;

use serde::{Deserialize, Serialize};

pub use self::{
    direction::DirectionProfile,
    files::{NamedFileError, read_named_files},
    preset::Preset,
    schedule::{Phase, ScheduleCsvError, ScheduleStep},
    tc::TcError,
};
use crate::impair::{self, random_impairments};
pub use crate::{
    impair::{
        ImpairmentSettings,
        cross_traffic::{CrossTraffic, Spacing},
        delay::DelaySettings,
        jitter::{Jitter, JitterDistribution, JitterTable},
        loss::{
            CorrelatedLoss, FourState, GilbertElliott, LossList, LossModel, LossPattern,
            NetemCorrelatedLoss, NthLoss,
        },
        position::LossPosition,
        queue::{
            CoDelSettings, Discipline, DualPi2Settings, FqCoDelSettings, PieSettings,
            QueueDiscipline, QueueLimit, QueueSettings, QueueSize, Red, RedSettings,
        },
        rate::{Framing, MahimahiTrace, ShaperSettings},
        reorder::Reorder,
        slots::Slots,
    },
    units::{DurationNs, Frequency, Percent, Rate, SignedSize, Size, UnitError},
};

/// The keys of a direction: those of the random impairments from their table, and the others.
macro_rules! settings {
    (
        before { $($before:tt)* }
        after { $($after:tt)* }
        impairments { $(
            $(#[$doc:meta])* $key:ident: $type:ty => $model:ty $([
                $($(#[$more_doc:meta])* $more_key:ident: $more_type:ty,)*
            ])?
        )* }
    ) => {
        structs! {
            $($before)*
            $($(#[$doc])* $key: $type,
            $($($(#[$more_doc])* $more_key: $more_type,)*)?)*
            $($after)*
        }

        impl DirectionSettings {
            /// The keys of the random impairments alone.
            fn impairments(&self) -> ImpairmentSettings {
                let mut settings = ImpairmentSettings::default();
                $(settings.$key = self.$key.clone();
                $($(settings.$more_key = self.$more_key.clone();)*)?)*
                settings
            }
        }
    };
}

/// The structs that hold the keys, and how the keys of one table yield to those of another.
macro_rules! structs {
    ($($(#[$doc:meta])* $key:ident: $type:ty,)*) => {
        /// One direction of a network as written; a key not given is that of `[network]`.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[non_exhaustive]
        pub struct DirectionSettings {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")]
            pub $key: Option<$type>,)*
        }

        /// A network as written: keys for both directions, and the exceptions.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "Unchecked")]
        #[non_exhaustive]
        pub struct NetworkProfile {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")]
            pub $key: Option<$type>,)*
            /// Keys that differ from sender to receiver.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub forward: Option<DirectionSettings>,
            /// Keys that differ from receiver to sender.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub reverse: Option<DirectionSettings>,
        }

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Unchecked {
            preset: Option<Preset>,
            $($key: Option<$type>,)*
            forward: Option<DirectionSettings>,
            reverse: Option<DirectionSettings>,
        }

        impl TryFrom<Unchecked> for NetworkProfile {
            type Error = UnitError;

            fn try_from(table: Unchecked) -> Result<Self, UnitError> {
                let profile = Self {
                    $($key: table.$key,)*
                    forward: table.forward,
                    reverse: table.reverse,
                };
                let profile = match table.preset {
                    Some(preset) => profile.over(preset.profile()),
                    None => profile,
                };
                profile.check()?;
                Ok(profile)
            }
        }

        impl DirectionSettings {
            /// Returns these keys, and those of `base` where there are none.
            fn over(self, base: Self) -> Self {
                Self {
                    $($key: self.$key.or(base.$key),)*
                }
            }
        }

        impl NetworkProfile {
            /// Returns these keys, and those of `base` where there are none. A trace takes the place of
            /// every rate.
            fn over(self, mut base: Self) -> Self {
                // Otherwise a trace over any preset would stand beside its rate and be refused.
                if self.mahimahi.is_some() {
                    base.rate = None;
                    for way in [&mut base.forward, &mut base.reverse].into_iter().flatten() {
                        way.rate = None;
                    }
                }
                let both = |own: Option<DirectionSettings>, base: Option<DirectionSettings>| {
                    match (own, base) {
                        (Some(own), Some(base)) => Some(own.over(base)),
                        (own, base) => own.or(base),
                    }
                };
                Self {
                    $($key: self.$key.or(base.$key),)*
                    forward: both(self.forward, base.forward),
                    reverse: both(self.reverse, base.reverse),
                }
            }

            /// Returns one direction's own keys, and those of both where it has none.
            fn settings(&self, own: Option<&DirectionSettings>) -> DirectionSettings {
                let own = own.cloned().unwrap_or_default();
                DirectionSettings {
                    $($key: own.$key.or_else(|| self.$key.clone()),)*
                }
            }
        }
    };
}

random_impairments!(settings! {
    before {
        /// Rate of the bottleneck. Default: unlimited, and then nothing ever queues.
        rate: Rate,
        /// Bytes that the link adds to each packet, or takes from it when negative: from -2147483647 to
        /// 2147483647 bytes; only the rate counts it. Default 0. As in `tc netem`'s `rate`.
        overhead: SignedSize,
        /// Size of the cells that the link sends, for ATM `"48B"`. Default: packets whole.
        cell: Size,
        /// Bytes that the link adds to each cell, for ATM `"5B"`. Default 0.
        cell_overhead: Size,
        /// Size of a token bucket (`tc-tbf(8)`): what it has saved goes at once, or at
        /// `peak_rate`. At least the `mtu`. Default: none, packets go one by one at the rate.
        burst: Size,
        /// Rate of a burst, above the rate. Default: unlimited.
        peak_rate: Rate,
        /// Delivery opportunities instead of a rate: the text of a mahimahi trace.
        mahimahi: MahimahiTrace,
        /// Limit of the queue before the bottleneck, the packet being sent included; what finds
        /// it full is dropped. Default `"1bdp"`.
        queue: QueueSize,
        /// Discipline of the queue: which packets it drops, and when. Default `"drop-tail"`.
        discipline: QueueDiscipline,
        /// Amount in the queue from which on packets are marked "congestion experienced" (RFC 3168),
        /// if they can be. Default: never.
        ecn_threshold: QueueSize,
        /// Batches in which the wire takes packets, as of Wi-Fi and DOCSIS. Default: one by one.
        slots: Slots,
        /// Delay of the wire, one way. Default 0.
        delay: DurationNs,
        /// Variation of the delay. Default 0.
        jitter: DurationNs,
        /// Distribution of the jitter. Default `"uniform"`.
        jitter_distribution: JitterDistribution,
        /// Equally likely values of jitter, in units of `jitter / 8192`: the text of a `.dist` file of
        /// iproute2. Replaces `jitter_distribution`.
        jitter_table: JitterTable,
        /// Correlation of a packet's jitter with that of the packet before, from 0 to below 100 %.
        /// Default 0. The distribution stays what it is, unlike in `tc netem`.
        jitter_correlation: Percent,
        /// Lets jitter reorder packets, as in `tc netem`. Default `true`. `false`
        /// also keeps them in order when the delay becomes shorter.
        jitter_reorder: bool,
        /// Packets held back, or sent ahead. Default none.
        reorder: Reorder,
    }
    after {
        /// Size of the largest packet, headers included; what is larger is dropped. Default `"1500B"`.
        mtu: Size,
        /// Traffic of others through the same bottleneck. Default: none.
        cross_traffic: CrossTraffic,
        /// Changes during a run.
        schedule: Vec<ScheduleStep>,
    }
});

/// A `[network]` table that cannot be used, with the line and what was expected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(transparent)]
pub struct ProfileError(#[from] toml::de::Error);

impl NetworkProfile {
    /// Reads the keys of a `[network]` table, without the heading.
    ///
    /// # Errors
    /// Text that is no TOML, unknown keys, quantities that make no sense: each with its line.
    pub fn from_toml_str(text: &str) -> Result<Self, ProfileError> {
        Ok(toml::from_str(text)?)
    }

    /// Returns the keys that hold from sender to receiver.
    #[must_use]
    pub fn forward_settings(&self) -> DirectionSettings {
        self.settings(self.forward.as_ref())
    }

    /// Returns the keys that hold from receiver to sender.
    #[must_use]
    pub fn reverse_settings(&self) -> DirectionSettings {
        self.settings(self.reverse.as_ref())
    }

    /// Returns the direction from sender to receiver.
    #[must_use]
    pub fn forward(&self) -> DirectionProfile {
        DirectionProfile::new(&self.forward_settings(), &self.reverse_settings())
    }

    /// Returns the direction from receiver to sender.
    #[must_use]
    pub fn reverse(&self) -> DirectionProfile {
        DirectionProfile::new(&self.reverse_settings(), &self.forward_settings())
    }

    /// Returns the fixed delay there and back, in nanoseconds, at the start of the schedule.
    #[must_use]
    pub fn round_trip_ns(&self) -> u64 {
        self.forward().delay_ns() + self.reverse().delay_ns()
    }

    /// Returns what the forward direction can deliver in a run of `duration_ns`; see
    /// [`DirectionProfile::achievable_bps`].
    #[must_use]
    pub fn achievable_bps(&self, duration_ns: u64) -> Option<u64> {
        self.forward().achievable_bps(duration_ns)
    }

    /// Checks what no key can be refused for by itself.
    fn check(&self) -> Result<(), UnitError> {
        for (name, own) in [("forward", &self.forward), ("reverse", &self.reverse)] {
            let settings = self.settings(own.as_ref());
            settings
                .check()
                .map_err(|error| UnitError::new(format!("{name} direction: {error}")))?;
            let (Some(own), None) = (own, self.rate) else {
                continue;
            };
            // Only a queue given for this very direction: one for both may be meant for the other.
            if own.queue.is_some() && settings.first_rate().is_none() {
                return Err(UnitError::new(format!(
                    "{name} direction: a queue needs a rate, or nothing ever waits in it"
                )));
            }
        }
        let [forward, reverse] =
            [&self.forward, &self.reverse].map(|own| self.settings(own.as_ref()).first_rate());
        if forward.is_none() && reverse.is_none() {
            for (key, given) in [("queue", self.queue), ("ecn_threshold", self.ecn_threshold)] {
                if given.is_some() {
                    return Err(UnitError::new(format!(
                        "{key} needs a rate, or nothing ever waits: write rate = \"100mbit\""
                    )));
                }
            }
        }
        Ok(())
    }
}

/// The MTU that IPv4 requires of every link at least (RFC 791 §3.2).
const MTU_BYTES_MIN: u64 = 68;

impl DirectionSettings {
    /// Returns the rate the direction starts with, or else the first it is given.
    fn first_rate(&self) -> Option<Rate> {
        let steps = self.schedule.iter().flatten();
        let traced = self.mahimahi.as_ref().map(MahimahiTrace::mean_bps);
        // A trace slower than a bit per second has the least rate there is.
        let traced = traced.and_then(|bps| Rate::from_bps(bps.max(1)).ok());
        traced
            .or(self.rate)
            .or_else(|| steps.filter_map(|step| step.rate).next())
    }

    fn check(&self) -> Result<(), UnitError> {
        if let Some(mtu) = self.mtu
            && mtu.0 < MTU_BYTES_MIN
        {
            return Err(UnitError::new(format!(
                "an mtu of {mtu} is impossible: expected at least \"{MTU_BYTES_MIN}B\""
            )));
        }
        self.check_impairments()?;
        self.check_rate()?;
        schedule::check(self.schedule.as_deref().unwrap_or_default())
    }

    fn check_impairments(&self) -> Result<(), UnitError> {
        impair::check_correlation("jitter_correlation", self.jitter_correlation)?;
        impair::check(&self.impairments())?;
        self.reorder.as_ref().map_or(Ok(()), Reorder::check)?;
        let table = JitterDistribution::Table;
        if self.jitter_distribution == Some(table) && self.jitter_table.is_none() {
            return Err(UnitError::new(
                "jitter_distribution = \"table\" needs a jitter_table",
            ));
        }
        Ok(())
    }

    fn check_rate(&self) -> Result<(), UnitError> {
        let fail = |message: &str| Err(UnitError::new(message));
        if self.mahimahi.is_some() {
            let steps = self.schedule.iter().flatten();
            if self.rate.is_some()
                || self.burst.is_some()
                || steps.clone().any(|s| s.rate.is_some())
            {
                return fail(
                    "a mahimahi trace is the rate: expected no rate and no burst beside it",
                );
            }
        }
        match (self.burst, self.peak_rate, self.first_rate()) {
            (None, Some(_), _) => return fail("peak_rate needs a burst, such as \"64KiB\""),
            (Some(_), _, None) => return fail("burst needs a rate, such as \"100mbit\""),
            (Some(_), Some(peak), Some(rate)) if peak <= rate => {
                return fail("peak_rate must be above the rate");
            }
            (Some(burst), ..) if burst < self.mtu.unwrap_or(Size(direction::MTU_BYTES)) => {
                return fail("a burst must hold at least a packet of the mtu's size");
            }
            _ => {}
        }
        let mut steps = self.schedule.iter().flatten();
        // A trace has its own pauses, and without a rate nothing waits that could be paused.
        let no_line = self.mahimahi.is_some() || self.first_rate().is_none();
        if no_line && steps.any(|step| step.pause_until.is_some()) {
            return fail("pause_until needs a rate, such as \"100mbit\"");
        }
        if self.cell == Some(Size(0)) {
            return fail("a cell must be above 0: expected such as \"48B\"");
        }
        if self.cell_overhead.is_some() && self.cell.is_none() {
            return fail("cell_overhead needs a cell, such as \"48B\"");
        }
        if let Some(cross_traffic) = &self.cross_traffic {
            if self.first_rate().is_none() {
                return fail("cross_traffic needs a rate, such as \"100mbit\"");
            }
            cross_traffic.check(self.mtu.map_or(direction::MTU_BYTES, |mtu| mtu.0))?;
        }
        self.slots.as_ref().map_or(Ok(()), Slots::check)?;
        self.discipline
            .as_ref()
            .map_or(Ok(()), QueueDiscipline::check)
    }
}
