//! Queue disciplines: whom a queue drops, and when.

mod dualpi2;
mod fq_codel;

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        self,
        value::{MapAccessDeserializer, MapDeserializer},
    },
};

pub use self::{dualpi2::DualPi2Settings, fq_codel::FqCoDelSettings};
use super::units::{DurationNs, Percent, Size, UnitError};
use super::{QueueLimit, QueueSize};

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
    /// What finds the queue full is dropped.
    DropTail,
    /// The longest waiting make room for what finds the queue full.
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

/// RED's parameters (Floyd and Jacobson 1993; `tc-red(8)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedSettings {
    /// Below this average nothing is dropped; above 0.
    pub min: QueueSize,
    /// From this average on everything is; above `min`.
    pub max: QueueSize,
    /// The share dropped just below `max`. Default 2 %, as in the paper (§IV).
    #[serde(default = "red_probability")]
    pub probability: Percent,
    /// At each packet the average moves by `2^-weight` of the difference, from 0 to 30. Default
    /// 9, near the paper's 0.002.
    #[serde(default = "red_weight")]
    pub weight: u8,
    /// Mark rather than drop.
    #[serde(default)]
    pub ecn: bool,
}

const fn red_probability() -> Percent {
    Percent::from_parts(Percent::WHOLE / 50)
}

const fn red_weight() -> u8 {
    9
}

/// CoDel's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoDelSettings {
    /// How long packets may stay; above 0. Default 5 ms (RFC 8289 §4.4).
    pub target: DurationNs,
    /// For how long they may stay longer, about a round trip; above 0. Default 100 ms (§4.3).
    pub interval: DurationNs,
    /// Mark rather than drop.
    pub ecn: bool,
}

impl Default for CoDelSettings {
    fn default() -> Self {
        Self {
            target: DurationNs(5_000_000),
            interval: DurationNs(100_000_000),
            ecn: false,
        }
    }
}

/// PIE's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PieSettings {
    /// How long packets should stay; above 0. Default 15 ms (RFC 8033 §4.2).
    pub target: DurationNs,
    /// How often the probability is adjusted; above 0. Default 15 ms (§4.2).
    pub update: DurationNs,
    /// For how long after a calm nothing is dropped. Default 150 ms (§4.4).
    pub burst: DurationNs,
    /// Mark rather than drop, up to a probability of 10 % (§5.1).
    pub ecn: bool,
}

impl Default for PieSettings {
    fn default() -> Self {
        Self {
            target: DurationNs(15_000_000),
            update: DurationNs(15_000_000),
            burst: DurationNs(150_000_000),
            ecn: false,
        }
    }
}

/// A queue discipline in base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Discipline {
    /// What finds the queue full is dropped.
    #[default]
    DropTail,
    /// The longest waiting make room.
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

/// RED's parameters in base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Red {
    /// Below this average nothing is dropped.
    pub min_bytes: u64,
    /// From this average on everything is.
    pub max_bytes: u64,
    /// The share dropped just below the maximum.
    pub probability: Percent,
    /// The average moves by `2^-weight` of the difference.
    pub weight: u8,
    /// Mark rather than drop.
    pub ecn: bool,
    /// How long a full packet takes to send: the clock of the average in an idle time.
    pub packet_ns: u64,
}

impl QueueDiscipline {
    pub(super) fn check(&self) -> Result<(), UnitError> {
        let fail = |message| Err(UnitError::new(message));
        match self {
            Self::Red(red) if red.weight > 30 => fail("red's weight is at most 30"),
            Self::CoDel(CoDelSettings {
                target, interval, ..
            }) if target.0 == 0 || interval.0 == 0 => {
                fail("codel's target and interval are above 0: expected such as \"5ms\"")
            }
            Self::Pie(pie) if pie.target.0 == 0 || pie.update.0 == 0 => {
                fail("pie's target and update are above 0: expected such as \"15ms\"")
            }
            Self::FqCoDel(settings) => settings.check(),
            Self::DualPi2(settings) => settings.check(),
            _ => Ok(()),
        }
    }

    /// In base units, where a full packet has so many bytes and takes so long to send.
    pub(super) fn resolve(
        self,
        limit: impl Fn(QueueSize) -> QueueLimit,
        mtu_bytes: u64,
        packet_ns: u64,
    ) -> Discipline {
        let bytes = |size| {
            let limit = limit(size);
            limit.bytes.min(limit.packets.saturating_mul(mtu_bytes))
        };
        match self {
            Self::DropTail => Discipline::DropTail,
            Self::DropHead => Discipline::DropHead,
            Self::CoDel(settings) => Discipline::CoDel(settings),
            Self::Pie(settings) => Discipline::Pie(settings),
            Self::FqCoDel(settings) => Discipline::FqCoDel(FqCoDelSettings {
                quantum: settings.quantum.or(Some(Size(mtu_bytes))),
                ..settings
            }),
            Self::DualPi2(settings) => Discipline::DualPi2(settings),
            Self::Red(settings) => {
                let min_bytes = bytes(settings.min);
                Discipline::Red(Red {
                    min_bytes,
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

/// The table; the names are told apart by serde.
#[derive(Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
enum Table {
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
        deserializer.deserialize_any(DisciplineVisitor)
    }
}

struct DisciplineVisitor;

impl<'de> de::Visitor<'de> for DisciplineVisitor {
    type Value = QueueDiscipline;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a queue discipline: write \"drop-tail\", \"drop-head\", \"codel\", \"pie\", \
             \"fq-codel\", \"dualpi2\" or { name = \"red\", min = \"30KiB\", max = \"90KiB\" }",
        )
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<QueueDiscipline, E> {
        let alone = MapDeserializer::new(std::iter::once(("name", name)));
        Table::deserialize(alone).map(QueueDiscipline::from)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<QueueDiscipline, A::Error> {
        Table::deserialize(MapAccessDeserializer::new(map)).map(QueueDiscipline::from)
    }
}
