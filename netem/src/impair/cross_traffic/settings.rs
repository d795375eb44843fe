//! Cross traffic, as a profile asks for it.

use serde::{Deserialize, Serialize};

use crate::{
    packet::IPV4_UDP_HEADER_BYTES,
    units::{DurationNs, Rate, Size, UnitError},
};

/// Traffic of others through the same bottleneck: `cross_traffic = { rate = "30mbit", on = "1s",
/// off = "2s" }`. It waits in the queue and takes its share of the rate as any packet, is dropped
/// as any, and is gone behind the bottleneck. It does not react to loss: it is the load that a link
/// has anyway. The same seed gives the same traffic, whatever else is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CrossTraffic {
    /// Rate while it sends, headers included.
    pub rate: Rate,
    /// The size of its packets, headers included; at least 28 bytes, and so large that there are
    /// at most ten million a second. Default: the `mtu`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packet: Option<Size>,
    /// Spacing of its packets. Default `"poisson"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing: Option<Spacing>,
    /// Mean length of an on-period, which is long enough for a packet: the lengths are
    /// exponentially distributed. Default: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<DurationNs>,
    /// Mean length of the off-periods between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<DurationNs>,
    /// Start, from the start of the run. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<DurationNs>,
    /// End, from the start of the run. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<DurationNs>,
}

/// Limit of packets a second: more would take longer to compute than to send.
const PACKETS_PER_SECOND_MAX: u128 = 10_000_000;

/// Spacing of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Spacing {
    /// Independently: the times between them are exponentially distributed.
    #[default]
    Poisson,
    /// At even distances.
    Even,
}

impl CrossTraffic {
    pub(crate) fn check(&self, mtu_bytes: u64) -> Result<(), UnitError> {
        let fail = |message: &str| Err(UnitError::new(format!("cross_traffic: {message}")));
        match self.packet {
            Some(Size(bytes)) if bytes < IPV4_UDP_HEADER_BYTES => {
                return fail("a packet has at least \"28B\", its headers");
            }
            Some(Size(bytes)) if bytes > mtu_bytes => {
                return fail("a packet cannot be larger than the mtu");
            }
            _ => {}
        }
        let none = |time: Option<DurationNs>| time == Some(DurationNs(0));
        // One without the other has no meaning, and periods of no length would never let time pass.
        if self.on.is_some() != self.off.is_some() || none(self.on) || none(self.off) {
            return fail("on and off must be given together and be above 0");
        }
        let packet_bits = 8 * u128::from(self.packet.map_or(mtu_bytes, |size| size.0));
        let rate = u128::from(self.rate.bps());
        if rate > packet_bits * PACKETS_PER_SECOND_MAX {
            return fail("more than ten million packets a second");
        }
        if let Some(DurationNs(on)) = self.on
            // Most periods would then pass without a packet, and the load be far below what is
            // asked for.
            && u128::from(on) * rate < packet_bits * 1_000_000_000
        {
            return fail("on is too short for a packet of this size and rate");
        }
        let start = self.start.unwrap_or_default();
        if self.stop.is_some_and(|stop| stop <= start) {
            return fail("stop must be after start");
        }
        Ok(())
    }

    /// Returns the bits it sends on average between two times in nanoseconds.
    pub(crate) fn mean_bits(&self, from_ns: u64, to_ns: u64) -> u128 {
        let from_ns = from_ns.max(self.start.unwrap_or_default().0);
        let to_ns = to_ns.min(self.stop.map_or(u64::MAX, |stop| stop.0));
        let span_ns = u128::from(to_ns.saturating_sub(from_ns));
        let ns = |time: Option<DurationNs>, default| u128::from(time.map_or(default, |ns| ns.0));
        let (on, off) = (ns(self.on, 1), ns(self.off, 0));
        u128::from(self.rate.bps()) * span_ns / (on + off) * on / 1_000_000_000
    }
}
