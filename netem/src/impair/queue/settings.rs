//! The settings of the queue, as written and in base units.

use serde::{Deserialize, Deserializer, Serialize, de, de::value::MapDeserializer};

use super::{
    codel::CoDelSettings,
    dualpi2::DualPi2Settings,
    fq_codel::FqCoDelSettings,
    limit::{QueueLimit, QueueSize},
    pie::PieSettings,
    red::{Red, RedSettings},
};
use crate::units::{Size, TextOrTable, TextOrTableVisitor, UnitError};

/// The queue before a direction's bottleneck, in base units.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueSettings {
    /// Limit of the queue; none where there is no rate.
    pub limit: QueueLimit,
    /// Amount in the queue from which on packets are marked.
    pub ecn_threshold: QueueLimit,
    /// Discipline: which packets the queue drops, and when.
    pub discipline: Discipline,
    /// The largest packet, which some disciplines never drop alone.
    pub mtu_bytes: u64,
}

/// A queue discipline as it is written: `"drop-tail"`, `"drop-head"`, `"codel"`, `"pie"`,
/// `"fq-codel"`, `"dualpi2"`, or with parameters,
/// `{ name = "codel", target = "5ms", interval = "100ms", ecn = true }`,
/// `{ name = "pie", target = "15ms", update = "15ms", burst = "150ms", ecn = true }`,
/// `{ name = "red", min = "30KiB", max = "90KiB", probability = "10%", weight = 9, ecn = true }`,
/// `{ name = "fq-codel", quantum = "300B", flows = 64 }`,
/// `{ name = "dualpi2", target = "15ms", step = "1ms" }`.
///
/// `ecn = true` marks packets that can be marked (RFC 3168) instead of dropping them; default
/// `false`, but with `fq-codel`; `dualpi2` always does. Whatever the discipline, `queue` is the
/// limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum QueueDiscipline {
    /// Drops what finds the queue full.
    DropTail,
    /// Drops the longest waiting to make room for what finds the queue full.
    DropHead,
    /// Random early detection, by the average queue.
    Red(RedSettings),
    /// Controlled delay (RFC 8289), by how long packets stay.
    #[serde(rename = "codel")]
    CoDel(CoDelSettings),
    /// Proportional integral controller enhanced (RFC 8033), by how long packets stay.
    Pie(PieSettings),
    /// A queue of its own for each flow, each with CoDel (RFC 8290).
    #[serde(rename = "fq-codel")]
    FqCoDel(FqCoDelSettings),
    /// A low-latency and a classic queue whose signals are coupled (RFC 9332). Packets with
    /// ECT(1) or CE are of the low-latency one (RFC 9331 §5.1).
    #[serde(rename = "dualpi2")]
    DualPi2(DualPi2Settings),
}

/// A queue discipline in base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Discipline {
    /// Drops what finds the queue full.
    #[default]
    DropTail,
    /// Drops the longest waiting.
    DropHead,
    /// Random early detection.
    Red(Red),
    /// Controlled delay.
    CoDel(CoDelSettings),
    /// Proportional integral controller enhanced.
    Pie(PieSettings),
    /// A queue for each flow; the quantum is filled in.
    FqCoDel(FqCoDelSettings),
    /// A low-latency and a classic queue.
    DualPi2(DualPi2Settings),
}

impl QueueDiscipline {
    pub(crate) fn check(&self) -> Result<(), UnitError> {
        match self {
            Self::DropTail | Self::DropHead => Ok(()),
            Self::Red(settings) => settings.check(),
            Self::CoDel(settings) => settings.check(),
            Self::Pie(settings) => settings.check(),
            Self::FqCoDel(settings) => settings.check(),
            Self::DualPi2(settings) => settings.check(),
        }
    }

    /// Returns the discipline in base units, where a full packet has `mtu_bytes` and takes
    /// `packet_ns` to send.
    pub(crate) fn resolve(
        self,
        limit: impl Fn(QueueSize) -> QueueLimit,
        mtu_bytes: u64,
        packet_ns: u64,
    ) -> Discipline {
        let bytes = |size| {
            let limit = limit(size);
            // RED averages bytes: thresholds in packets count as full ones.
            limit.bytes.min(limit.packets.saturating_mul(mtu_bytes))
        };
        match self {
            Self::DropTail => Discipline::DropTail,
            Self::DropHead => Discipline::DropHead,
            Self::CoDel(settings) => Discipline::CoDel(settings),
            Self::Pie(settings) => Discipline::Pie(settings),
            // The MTU rather than Linux's 1514: a quantum of one packet, here without Ethernet.
            Self::FqCoDel(settings) => Discipline::FqCoDel(FqCoDelSettings {
                quantum: settings.quantum.or(Some(Size(mtu_bytes))),
                ..settings
            }),
            Self::DualPi2(settings) => Discipline::DualPi2(settings),
            Self::Red(settings) => {
                let min_bytes = bytes(settings.min);
                Discipline::Red(Red {
                    min_bytes,
                    // A maximum at the minimum would divide by zero.
                    max_bytes: bytes(settings.max).max(min_bytes.saturating_add(1)),
                    probability: settings.probability,
                    weight: settings.weight,
                    ecn: settings.ecn,
                    packet_ns,
                })
            }
        }
    }
}

/// The discipline as a table, which serde tells apart by the name.
#[derive(Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub(crate) enum Table {
    DropTail,
    DropHead,
    Red(RedSettings),
    #[serde(rename = "codel")]
    CoDel(CoDelSettings),
    Pie(PieSettings),
    #[serde(rename = "fq-codel")]
    FqCoDel(FqCoDelSettings),
    #[serde(rename = "dualpi2")]
    DualPi2(DualPi2Settings),
}

impl From<Table> for QueueDiscipline {
    fn from(table: Table) -> Self {
        match table {
            Table::DropTail => Self::DropTail,
            Table::DropHead => Self::DropHead,
            Table::Red(settings) => Self::Red(settings),
            Table::CoDel(settings) => Self::CoDel(settings),
            Table::Pie(settings) => Self::Pie(settings),
            Table::FqCoDel(settings) => Self::FqCoDel(settings),
            Table::DualPi2(settings) => Self::DualPi2(settings),
        }
    }
}

impl<'de> Deserialize<'de> for QueueDiscipline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrTableVisitor::new())
    }
}

impl TextOrTable for QueueDiscipline {
    type Table = Table;

    fn expecting() -> String {
        "a queue discipline: write \"drop-tail\", \"drop-head\", \"codel\", \"pie\", \
         \"fq-codel\", \"dualpi2\" or { name = \"red\", min = \"30KiB\", max = \"90KiB\" }"
            .to_owned()
    }

    /// A name alone is the table with nothing but that name.
    fn from_text<E: de::Error>(name: &str) -> Result<Self, E> {
        let alone = MapDeserializer::new(std::iter::once(("name", name)));
        Table::deserialize(alone).map(Self::from)
    }

    fn from_table<E: de::Error>(table: Table) -> Result<Self, E> {
        Ok(table.into())
    }
}
