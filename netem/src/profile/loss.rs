//! Ways to lose packets on the wire.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, value::MapAccessDeserializer},
    ser::SerializeMap,
};

use super::units::{Percent, UnitError, bare, split};
use crate::rng::Threshold;

/// How packets are lost on the wire.
///
/// In a scenario: `loss = "10%"`, or bursts as
/// `loss = { model = "gilbert-elliott", mean = "3%", burst = "10p" }`, or with the parameters of
/// `tc netem`'s `gemodel`:
/// `loss = { model = "gilbert-elliott", p = "1%", r = "10%", 1-h = "100%", 1-k = "0%" }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossModel {
    /// Each packet by itself, with this probability.
    Iid(Percent),
    /// In bursts.
    GilbertElliott(GilbertElliott),
}

impl LossModel {
    /// Nothing is lost.
    pub const NONE: Self = Self::Iid(Percent::ZERO);

    /// The share of packets lost in the long run.
    #[must_use]
    pub fn mean(&self) -> Percent {
        match self {
            Self::Iid(probability) => *probability,
            Self::GilbertElliott(model) => model.mean(),
        }
    }
}

impl Default for LossModel {
    fn default() -> Self {
        Self::NONE
    }
}

/// The Gilbert-Elliott model with the names of `tc netem`: a chain of a good and a bad state that
/// may change before each packet, which is then lost with its state's probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GilbertElliott {
    spelling: Spelling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// Good to bad, bad to good, loss in bad (`1-h`), loss in good (`1-k`).
    Chain {
        p: Percent,
        r: Percent,
        bad: Percent,
        good: Percent,
    },
    /// Everything in the bad state is lost and nothing in the good one; the mean burst in
    /// thousandths of a packet.
    Burst { mean: Percent, milli_packets: u64 },
}

const BURST: &str = "a burst length";
const BURST_HINT: &str = "write \"10p\" (packets)";

impl GilbertElliott {
    /// From `gemodel`'s parameters; `bad` is its `1-h` and `good` its `1-k`.
    ///
    /// # Errors
    /// Both `p` and `r` are 0: the chain would stay for ever where it began.
    pub fn from_chain(
        p: Percent,
        r: Percent,
        bad: Percent,
        good: Percent,
    ) -> Result<Self, UnitError> {
        if p == Percent::ZERO && r == Percent::ZERO {
            return Err(UnitError::new(
                "p and r are both 0%, so the state would never change: expected one above 0%",
            ));
        }
        let spelling = Spelling::Chain { p, r, bad, good };
        Ok(Self { spelling })
    }

    /// From the share of packets lost and the mean length of a burst, in thousandths of a packet.
    ///
    /// # Errors
    /// A burst below one packet, a mean of 100 %, and a mean that such short bursts cannot reach.
    pub fn from_burst(mean: Percent, milli_packets: u64) -> Result<Self, UnitError> {
        if milli_packets < 1000 {
            return Err(UnitError::new(
                "a burst is at least one packet long: expected \"1p\" or more",
            ));
        }
        if mean == Percent::HUNDRED {
            return Err(UnitError::new(
                "bursts cannot have a mean of 100%: write loss = \"100%\" instead",
            ));
        }
        // At the most, one good packet separates two bursts: mean <= burst / (burst + 1).
        let (lost, kept) = (mean.parts(), mean.complement().parts());
        let needed_milli = (u128::from(lost) * 1000).div_ceil(u128::from(kept));
        if u128::from(milli_packets) < needed_milli {
            return Err(UnitError::new(format!(
                "a mean of {mean} needs bursts of at least {} packets",
                needed_milli.div_ceil(1000)
            )));
        }
        let spelling = Spelling::Burst {
            mean,
            milli_packets,
        };
        Ok(Self { spelling })
    }

    /// The share of packets lost in the long run: `((1-k) r + (1-h) p) / (p + r)`.
    #[must_use]
    pub fn mean(&self) -> Percent {
        match self.spelling {
            Spelling::Burst { mean, .. } => mean,
            Spelling::Chain { p, r, bad, good } => {
                let product =
                    |a: Percent, b: Percent| u128::from(a.parts()) * u128::from(b.parts());
                let sum = u128::from(p.parts() + r.parts());
                Percent::from_parts(((product(good, r) + product(bad, p)) / sum) as u64)
            }
        }
    }

    pub(crate) fn thresholds(&self) -> GilbertThresholds {
        match self.spelling {
            Spelling::Chain { p, r, bad, good } => GilbertThresholds {
                to_bad: p.threshold(),
                to_good: r.threshold(),
                bad: bad.threshold(),
                good: good.threshold(),
            },
            Spelling::Burst {
                mean,
                milli_packets,
            } => {
                let burst = u128::from(milli_packets);
                let (lost, kept) = (mean.parts(), mean.complement().parts());
                let (part, whole) = (u128::from(lost) * 1000, u128::from(kept) * burst);
                GilbertThresholds {
                    to_bad: Threshold::ratio(part.min(whole), whole),
                    to_good: Threshold::ratio(1000, burst),
                    bad: Threshold::ratio(1, 1),
                    good: Threshold::default(),
                }
            }
        }
    }
}

/// The model as the stage uses it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GilbertThresholds {
    pub(crate) to_bad: Threshold,
    pub(crate) to_good: Threshold,
    pub(crate) bad: Threshold,
    pub(crate) good: Threshold,
}

const LOSS: &str = "a loss";
const LOSS_HINT: &str = "write \"10%\" or { model = \"gilbert-elliott\", mean = \"3%\", \
                         burst = \"10p\" }";

impl Serialize for LossModel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let model = match self {
            Self::Iid(probability) => return probability.serialize(serializer),
            Self::GilbertElliott(model) => model,
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model", "gilbert-elliott")?;
        match model.spelling {
            Spelling::Chain { p, r, bad, good } => {
                for (key, value) in [("p", p), ("r", r), ("1-h", bad), ("1-k", good)] {
                    map.serialize_entry(key, &value)?;
                }
            }
            Spelling::Burst {
                mean,
                milli_packets,
            } => {
                map.serialize_entry("mean", &mean)?;
                map.serialize_entry("burst", &Burst(milli_packets))?;
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for LossModel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LossVisitor)
    }
}

struct LossVisitor;

impl<'de> de::Visitor<'de> for LossVisitor {
    type Value = LossModel;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{LOSS}: {LOSS_HINT}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<LossModel, E> {
        text.parse().map(LossModel::Iid).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<LossModel, E> {
        Err(E::custom(bare(number, LOSS, LOSS_HINT)))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<LossModel, E> {
        Err(E::custom(bare(number, LOSS, LOSS_HINT)))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<LossModel, A::Error> {
        let table = GilbertTable::deserialize(MapAccessDeserializer::new(map))?;
        table.model().map_err(de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ModelName {
    GilbertElliott,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GilbertTable {
    model: ModelName,
    mean: Option<Percent>,
    burst: Option<Burst>,
    p: Option<Percent>,
    r: Option<Percent>,
    #[serde(rename = "1-h")]
    bad: Option<Percent>,
    #[serde(rename = "1-k")]
    good: Option<Percent>,
}

impl GilbertTable {
    fn model(self) -> Result<LossModel, UnitError> {
        let ModelName::GilbertElliott = self.model;
        let chain = [self.p, self.r, self.bad, self.good];
        let model = match (self.mean, self.burst, self.p) {
            (Some(mean), Some(Burst(milli)), None) if chain == [None; 4] => {
                GilbertElliott::from_burst(mean, milli)?
            }
            // The defaults are those of `tc netem`.
            (None, None, Some(p)) => GilbertElliott::from_chain(
                p,
                self.r.unwrap_or_else(|| p.complement()),
                self.bad.unwrap_or(Percent::HUNDRED),
                self.good.unwrap_or(Percent::ZERO),
            )?,
            _ => {
                return Err(UnitError::new(
                    "gilbert-elliott wants either mean and burst, or p (and r, 1-h, 1-k)",
                ));
            }
        };
        Ok(LossModel::GilbertElliott(model))
    }
}

/// A mean burst length in thousandths of a packet.
#[derive(Debug, Clone, Copy)]
struct Burst(u64);

impl std::str::FromStr for Burst {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text, BURST, BURST_HINT)?;
        let milli = number
            .times(1000)
            .filter(|_| unit == "p" || unit == "packets");
        milli
            .map(Self)
            .ok_or_else(|| UnitError::new(format!("{text:?} is not {BURST}: {BURST_HINT}")))
    }
}

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 1000 {
            0 => write!(f, "{}p", self.0 / 1000),
            milli => write!(f, "{}.{milli:03}p", self.0 / 1000),
        }
    }
}

super::units::text_form!(Burst, BURST, BURST_HINT);
