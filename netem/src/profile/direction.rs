//! One direction, with every default filled in.

use super::{
    CrossTraffic, DirectionSettings, Discipline, Framing, Jitter, JitterDistribution, LossPosition,
    MahimahiTrace, Percent, QueueLimit, QueueSize, Rate, Reorder, Size, Slots, schedule,
    schedule::Phase,
};
use crate::packet::IPV4_UDP_HEADER_BYTES;

/// The MTU of a link that is not told otherwise: Ethernet's (RFC 894).
pub(super) const MTU_BYTES: u64 = 1500;

/// One direction of a network in base units: what a [`Link`](crate::link::Link) is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectionProfile {
    /// What the queue holds; no limit where there is no rate.
    pub queue: QueueLimit,
    /// Whom the queue drops.
    pub discipline: Discipline,
    /// What the link adds to each packet.
    pub framing: Framing,
    /// The size of the token bucket; `None` has packets go one by one.
    pub burst_bytes: Option<u64>,
    /// What a burst is sent at; `None` is without end.
    pub peak_rate: Option<Rate>,
    /// When the link can send, instead of a rate.
    pub opportunities: Option<MahimahiTrace>,
    /// From how much in the queue on packets are marked.
    pub ecn_threshold: QueueLimit,
    /// How much the delay varies.
    pub jitter: Option<Jitter>,
    /// Must packets never overtake each other, except those that `reorder` makes late?
    pub in_order: bool,
    /// The wire takes packets in batches.
    pub slots: Option<Slots>,
    /// Some packets are late, or ahead.
    pub reorder: Option<Reorder>,
    /// Where packets are lost, duplicated and corrupted.
    pub loss_position: LossPosition,
    /// Which share of packets arrives twice.
    pub duplicate: Percent,
    /// How much a packet's being duplicated makes it likely of the next.
    pub duplicate_correlation: Percent,
    /// In which share of packets a bit is flipped.
    pub corrupt: Percent,
    /// How much a packet's being corrupted makes it likely of the next.
    pub corrupt_correlation: Percent,
    /// Which share of packets loses its end.
    pub truncate: Percent,
    /// The largest packet, headers included.
    pub mtu_bytes: u64,
    /// What others send through the same bottleneck.
    pub cross_traffic: Option<CrossTraffic>,
    /// What varies over time: at least one, in order of time, the first from 0 on.
    phases: Vec<Phase>,
}

impl DirectionProfile {
    pub(super) fn new(settings: &DirectionSettings, way_back: &DirectionSettings) -> Self {
        let mtu_bytes = settings.mtu.map_or(MTU_BYTES, |mtu| mtu.0);
        let delay_ns = settings.delay.unwrap_or_default().0;
        let round_trip_ns = delay_ns + way_back.delay.unwrap_or_default().0;
        let limit = |size: QueueSize| match settings.first_rate() {
            Some(rate) => size.resolve(rate, round_trip_ns, mtu_bytes),
            None => QueueLimit::NONE,
        };
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
        let jitter_ns = settings.jitter.unwrap_or_default().0;
        let packet_ns = settings.first_rate().map_or(0, |rate| {
            let ns = u128::from(mtu_bytes) * 8_000_000_000 / u128::from(rate.bps());
            u64::try_from(ns).unwrap_or(u64::MAX)
        });
        let discipline = settings
            .discipline
            .map(|discipline| discipline.resolve(limit, mtu_bytes, packet_ns));
        let bytes = |size: Option<Size>| size.map_or(0, |size| size.0);
        Self {
            discipline: discipline.unwrap_or_default(),
            framing: Framing {
                overhead_bytes: settings.overhead.unwrap_or_default().0,
                cell_bytes: bytes(settings.cell),
                cell_overhead_bytes: bytes(settings.cell_overhead),
            },
            burst_bytes: settings.burst.map(|burst| burst.0),
            peak_rate: settings.peak_rate,
            opportunities: settings.mahimahi.clone(),
            queue: limit(settings.queue.unwrap_or(QueueSize::MilliBdp(1000))),
            ecn_threshold: settings.ecn_threshold.map_or(QueueLimit::NONE, limit),
            jitter: (jitter_ns > 0).then(|| Jitter {
                ns: jitter_ns,
                distribution: match settings.jitter_table {
                    Some(_) => JitterDistribution::Table,
                    None => settings.jitter_distribution.unwrap_or_default(),
                },
                correlation: settings.jitter_correlation.unwrap_or_default(),
                table: settings.jitter_table.clone(),
            }),
            in_order: settings.jitter_reorder == Some(false),
            slots: settings.slots,
            reorder: settings.reorder,
            loss_position: settings.loss_position.unwrap_or_default(),
            duplicate: settings.duplicate.unwrap_or_default(),
            duplicate_correlation: settings.duplicate_correlation.unwrap_or_default(),
            corrupt: settings.corrupt.unwrap_or_default(),
            corrupt_correlation: settings.corrupt_correlation.unwrap_or_default(),
            truncate: settings.truncate.unwrap_or_default(),
            mtu_bytes,
            cross_traffic: settings.cross_traffic,
            phases: schedule::phases(first, steps),
        }
    }

    /// What varies over time: at least one phase, in order of time, the first from 0 on.
    #[must_use]
    pub fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// What holds `at_ns` nanoseconds after the start of the run.
    #[must_use]
    pub fn phase_at(&self, at_ns: u64) -> &Phase {
        let begun = self.phases.partition_point(|phase| phase.from_ns <= at_ns);
        &self.phases[begun.saturating_sub(1)]
    }

    /// The rate at the start, in bits per second; `None` is without end.
    #[must_use]
    pub fn rate_bps(&self) -> Option<u64> {
        self.rate_bps_at(0)
    }

    /// The rate `at_ns` nanoseconds after the start of the run, in bits per second.
    #[must_use]
    pub fn rate_bps_at(&self, at_ns: u64) -> Option<u64> {
        self.phase_at(at_ns).rate.map(Rate::bps)
    }

    /// The fixed one-way delay at the start, in nanoseconds.
    #[must_use]
    pub fn delay_ns(&self) -> u64 {
        self.phase_at(0).delay_ns
    }

    /// The share of packets lost on the wire in the long run, at the start.
    #[must_use]
    pub fn loss_mean(&self) -> Percent {
        self.phase_at(0).loss_mean()
    }

    /// What the queue holds in bytes; `None` if it is limited in packets only, or not at all.
    #[must_use]
    pub const fn queue_bytes(&self) -> Option<u64> {
        match self.queue.bytes {
            u64::MAX => None,
            bytes => Some(bytes),
        }
    }

    /// The UDP payload, in bits per second, that can get through in a run of `duration_ns`,
    /// whoever sends it: rate × (MTU − 28) / MTU × (1 − loss after the queue), averaged over the
    /// phases of the run, without what cross traffic sends on average. `None` when the rate is
    /// without end at any time of it.
    #[must_use]
    pub fn achievable_bps(&self, duration_ns: u64) -> Option<u64> {
        let duration_ns = duration_ns.max(1);
        let ends = self.phases[1..].iter().map(|phase| phase.from_ns);
        let ends = ends.chain([u64::MAX]).map(|end| end.min(duration_ns));
        let mut bits = 0;
        for (phase, end_ns) in self.phases.iter().zip(ends) {
            let phase_ns = end_ns.saturating_sub(phase.from_ns);
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

    /// The share of what leaves the queue that comes out of the link.
    fn surviving(&self, phase: &Phase) -> Percent {
        match self.loss_position {
            LossPosition::AfterQueue => phase.loss_mean().complement(),
            LossPosition::BeforeQueue if phase.blackout => Percent::ZERO,
            LossPosition::BeforeQueue => Percent::HUNDRED,
        }
    }
}
