//! The limit of a queue, in bytes, packets, time or bandwidth-delay products.

use std::{fmt, str::FromStr};

use crate::units::{DurationNs, Rate, Size, UnitError, split, text_form};

/// The size of a queue: `"1bdp"`, `"256KiB"`, `"1000p"` or `"50ms"`.
///
/// Memory does not grow during a run: `bdp` and durations become bytes once, at the rate and
/// delays the scenario starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueueSize {
    /// Thousandths of the bandwidth-delay product: rate × (delay there + delay back).
    MilliBdp(u64),
    /// Bytes on the link, headers included.
    Bytes(u64),
    /// Packets, whatever their size.
    Packets(u64),
    /// Bytes that the link sends in this many nanoseconds.
    Time(u64),
}

const QUEUE: &str = "a queue size";
const QUEUE_HINT: &str = "write \"1bdp\", \"256KiB\", \"1000p\" (packets) or \"50ms\"";

/// A queue of some bandwidth-delay products holds at least so many full packets: on a short link
/// the product is less than one, and nothing could be sent.
const BDP_PACKETS_MIN: u64 = 4;

impl QueueSize {
    /// Returns the limit in bytes and packets, on a link of this rate, round trip and MTU.
    pub(crate) fn resolve(self, rate: Rate, round_trip_ns: u64, mtu_bytes: u64) -> QueueLimit {
        let bytes = match self {
            // Not converted to bytes: a queue of packets takes as many small ones as large ones.
            Self::Packets(packets) => {
                return QueueLimit {
                    bytes: u64::MAX,
                    packets,
                };
            }
            Self::Bytes(bytes) => bytes,
            Self::Time(ns) => rate.bytes_in(ns),
            Self::MilliBdp(milli) => {
                let bytes = u128::from(rate.bytes_in(round_trip_ns)) * u128::from(milli) / 1000;
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                bytes.max(BDP_PACKETS_MIN * mtu_bytes)
            }
        };
        QueueLimit {
            bytes,
            packets: u64::MAX,
        }
    }
}

impl FromStr for QueueSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text, QUEUE, QUEUE_HINT)?;
        let whole = |value: Option<u64>| match value {
            Some(0) => Err(UnitError::new(format!(
                "{text:?} holds nothing: expected a queue of at least one packet"
            ))),
            Some(value) => Ok(value),
            None => Err(UnitError::new(format!("{text:?} is too large for a queue"))),
        };
        match unit {
            "bdp" => whole(number.times(1000)).map(Self::MilliBdp),
            "p" | "packets" => whole(number.times(1)).map(Self::Packets),
            _ => {
                // Bytes and times share no unit, so the first that parses is the one meant.
                if let Ok(Size(bytes)) = text.parse() {
                    return whole(Some(bytes)).map(Self::Bytes);
                }
                if let Ok(DurationNs(ns)) = text.parse() {
                    return whole(Some(ns)).map(Self::Time);
                }
                Err(UnitError::new(format!(
                    "{unit:?} is not a unit of {QUEUE}: {QUEUE_HINT}"
                )))
            }
        }
    }
}

impl fmt::Display for QueueSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MilliBdp(milli) if milli % 1000 == 0 => write!(f, "{}bdp", milli / 1000),
            Self::MilliBdp(milli) => write!(f, "{}.{:03}bdp", milli / 1000, milli % 1000),
            Self::Bytes(bytes) => Size(*bytes).fmt(f),
            Self::Packets(packets) => write!(f, "{packets}p"),
            Self::Time(ns) => DurationNs(*ns).fmt(f),
        }
    }
}

text_form!(QueueSize, QUEUE, QUEUE_HINT);

/// A queue's limit, or a threshold in it, in both measures; `u64::MAX` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimit {
    /// Bytes on the link, headers included.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
}

impl QueueLimit {
    /// No limit at all.
    pub const NONE: Self = Self {
        bytes: u64::MAX,
        packets: u64::MAX,
    };
}
