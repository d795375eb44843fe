//! One direction, with every default filled in.

use super::{
    DirectionSettings,
    schedule::{self, Phase},
};
use crate::{
    impair::{
        ImpairmentSettings,
        cross_traffic::CrossTraffic,
        delay::DelaySettings,
        jitter::{Jitter, JitterDistribution},
        position::LossPosition,
        queue::{QueueLimit, QueueSettings, QueueSize},
        rate::{Framing, ShaperSettings},
    },
    packet::IPV4_UDP_HEADER_BYTES,
    units::{Percent, Rate, Size},
};

/// Default MTU, which is Ethernet's (RFC 894).
pub(super) const MTU_BYTES: u64 = 1500;

/// One direction of a network in base units: what a [`Link`](crate::link::Link) is created from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectionProfile {
    /// The queue before the bottleneck.
    pub queue: QueueSettings,
    /// Bottleneck, except its rate.
    pub shaper: ShaperSettings,
    /// Delay, except its fixed part.
    pub delay: DelaySettings,
    /// Random impairments of single packets, with the loss that the schedule starts with.
    pub impairments: ImpairmentSettings,
    /// Size of the largest packet, headers included.
    pub mtu_bytes: u64,
    /// Traffic of others through the same bottleneck.
    pub cross_traffic: Option<CrossTraffic>,
    /// Rate, delay and loss over time: at least one phase, in order of time, the first from 0 on.
    phases: Vec<Phase>,
}

impl DirectionProfile {
    pub(super) fn new(settings: &DirectionSettings, opposite: &DirectionSettings) -> Self {
        let mtu_bytes = settings.mtu.map_or(MTU_BYTES, |mtu| mtu.0);
        let delay_ns = settings.delay.unwrap_or_default().0;
        let round_trip_ns = delay_ns + opposite.delay.unwrap_or_default().0;
        let limit = |size: QueueSize| match settings.first_rate() {
            Some(rate) => size.resolve(rate, round_trip_ns, mtu_bytes),
            None => QueueLimit::NONE,
        };
        // The mean of the trace: the shaper does not use it, but sizes and reports do.
        let rate = match settings.mahimahi {
            Some(_) => settings.first_rate(),
            None => settings.rate,
        };
        let first = Phase {
            from_ns: 0,
            rate,
            delay_ns,
            loss: settings.loss.clone().unwrap_or_default(),
            blackout: false,
            paused: false,
        };
        let steps = settings.schedule.as_deref().unwrap_or_default();
        let packet_ns = settings.first_rate().map_or(0, |rate| {
            let ns = u128::from(mtu_bytes) * 8_000_000_000 / u128::from(rate.bps());
            u64::try_from(ns).unwrap_or(u64::MAX)
        });
        let discipline = settings
            .discipline
            .map(|discipline| discipline.resolve(limit, mtu_bytes, packet_ns));
        let bytes = |size: Option<Size>| size.map_or(0, |size| size.0);
        Self {
            queue: QueueSettings {
                limit: limit(settings.queue.unwrap_or(QueueSize::MilliBdp(1000))),
                ecn_threshold: settings.ecn_threshold.map_or(QueueLimit::NONE, limit),
                discipline: discipline.unwrap_or_default(),
                mtu_bytes,
            },
            shaper: ShaperSettings {
                framing: Framing {
                    overhead_bytes: settings.overhead.unwrap_or_default().0,
                    cell_bytes: bytes(settings.cell),
                    cell_overhead_bytes: bytes(settings.cell_overhead),
                },
                burst_bytes: settings.burst.map(|burst| burst.0),
                peak_rate: settings.peak_rate,
                mahimahi: settings.mahimahi.clone(),
            },
            delay: DelaySettings {
                jitter: jitter(settings),
                in_order: settings.jitter_reorder == Some(false),
                slots: settings.slots,
                reorder: settings.reorder,
            },
            impairments: settings.impairments(),
            mtu_bytes,
            cross_traffic: settings.cross_traffic,
            phases: schedule::phases(first, steps),
        }
    }

    /// Returns rate, delay and loss over time: at least one phase, in order of time, the first from
    /// 0 on.
    #[must_use]
    pub fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// Returns the position at which packets are lost, duplicated and corrupted.
    #[must_use]
    pub fn loss_position(&self) -> LossPosition {
        self.impairments.loss_position.unwrap_or_default()
    }

    /// Returns the shortest fixed delay of any phase, in nanoseconds.
    pub(crate) fn delay_min_ns(&self) -> u64 {
        let delays_ns = self.phases.iter().map(|phase| phase.delay_ns);
        delays_ns.min().unwrap_or(0)
    }

    /// Returns the phase `at_ns` nanoseconds after the start of the run.
    #[must_use]
    pub fn phase_at(&self, at_ns: u64) -> &Phase {
        let started = self.phases.partition_point(|phase| phase.from_ns <= at_ns);
        &self.phases[started.saturating_sub(1)]
    }

    /// Returns the rate at the start, in bits per second; `None` is unlimited.
    #[must_use]
    pub fn rate_bps(&self) -> Option<u64> {
        self.rate_bps_at(0)
    }

    /// Returns the rate `at_ns` nanoseconds after the start of the run, in bits per second.
    #[must_use]
    pub fn rate_bps_at(&self, at_ns: u64) -> Option<u64> {
        self.phase_at(at_ns).rate.map(Rate::bps)
    }

    /// Returns the fixed one-way delay at the start, in nanoseconds.
    #[must_use]
    pub fn delay_ns(&self) -> u64 {
        self.phase_at(0).delay_ns
    }

    /// Returns the share of packets lost on the wire in the long run, at the start.
    #[must_use]
    pub fn loss_mean(&self) -> Percent {
        self.phase_at(0).loss_mean()
    }

    /// Returns the queue's limit in bytes; `None` if it is limited in packets only, or not at all.
    #[must_use]
    pub const fn queue_bytes(&self) -> Option<u64> {
        match self.queue.limit.bytes {
            u64::MAX => None,
            bytes => Some(bytes),
        }
    }

    /// Returns the UDP payload, in bits per second, that any protocol can get through in a run of
    /// `duration_ns`: rate × (MTU − 28) / MTU × (1 − loss after the queue), averaged over the
    /// phases of the run, without what cross traffic sends on average. `None` when the rate is
    /// unlimited at any time of it.
    #[must_use]
    pub fn achievable_bps(&self, duration_ns: u64) -> Option<u64> {
        let duration_ns = duration_ns.max(1);
        let ends = self.phases[1..].iter().map(|phase| phase.from_ns);
        let ends = ends.chain([u64::MAX]).map(|end| end.min(duration_ns));
        let mut bits = 0;
        for (phase, end_ns) in self.phases.iter().zip(ends) {
            let phase_ns = end_ns.saturating_sub(phase.from_ns);
            // A blackout has its part by `surviving`: the bottleneck sends in it, in a pause it does not.
            if phase_ns > 0 && !phase.paused {
                let others = self.cross_traffic.map_or(0, |others| {
                    // In the same unit as the rate times nanoseconds.
                    others.mean_bits(phase.from_ns, end_ns) * 1_000_000_000
                });
                let own = u128::from(phase.rate?.bps()) * u128::from(phase_ns);
                bits += own.saturating_sub(others) / 1000
                    * u128::from(self.surviving(phase).parts() / 1000);
            }
        }
        let mtu = u128::from(self.mtu_bytes);
        let payload = mtu - u128::from(IPV4_UDP_HEADER_BYTES);
        let whole = u128::from(Percent::WHOLE / 1_000_000);
        u64::try_from(bits / u128::from(duration_ns) * payload / mtu / whole).ok()
    }

    /// Returns the share of what leaves the queue that comes out of the link.
    fn surviving(&self, phase: &Phase) -> Percent {
        match self.loss_position() {
            LossPosition::AfterQueue => phase.loss_mean().complement(),
            LossPosition::BeforeQueue if phase.blackout => Percent::ZERO,
            LossPosition::BeforeQueue => Percent::HUNDRED,
        }
    }
}

fn jitter(settings: &DirectionSettings) -> Option<Jitter> {
    let ns = settings.jitter.unwrap_or_default().0;
    (ns > 0).then(|| Jitter {
        ns,
        distribution: match settings.jitter_table {
            Some(_) => JitterDistribution::Table,
            None => settings.jitter_distribution.unwrap_or_default(),
        },
        correlation: settings.jitter_correlation.unwrap_or_default(),
        table: settings.jitter_table.clone(),
    })
}
