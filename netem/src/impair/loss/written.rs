//! Loss as a scenario writes it: a share, or a table that names its model.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    burst_length::BurstLength,
    by_index::NthLoss,
    correlated::{CorrelatedLoss, NetemCorrelatedLoss},
    four_state::FourState,
    gilbert_elliott::{GilbertElliott, Spelling},
    settings::LossModel,
};
use crate::units::{Number, Percent, TextOrTable, TextOrTableVisitor, UnitError, bare};

const LOSS: &str = "a loss";
const LOSS_HINT: &str = "write \"10%\" or { model = \"gilbert-elliott\", mean = \"3%\", \
                         burst = \"10p\" }";

impl Serialize for LossModel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Iid(probability) => probability.serialize(serializer),
            model => Table::of(model).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for LossModel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrTableVisitor::new())
    }
}

impl TextOrTable for LossModel {
    type Table = Table;

    fn expecting() -> String {
        format!("{LOSS}: {LOSS_HINT}")
    }

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        text.parse().map(Self::Iid).map_err(E::custom)
    }

    fn from_table<E: de::Error>(table: Table) -> Result<Self, E> {
        table.model().map_err(E::custom)
    }

    fn from_number<E: de::Error>(number: Number) -> Result<Self, E> {
        Err(E::custom(bare(number, LOSS, LOSS_HINT)))
    }
}

/// The table; keys left out have the defaults of `tc netem`.
#[derive(Default, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Table {
    #[default]
    None,
    GilbertElliott {
        #[serde(skip_serializing_if = "Option::is_none")]
        mean: Option<Percent>,
        #[serde(skip_serializing_if = "Option::is_none")]
        burst: Option<BurstLength>,
        #[serde(skip_serializing_if = "Option::is_none")]
        p: Option<Percent>,
        #[serde(skip_serializing_if = "Option::is_none")]
        r: Option<Percent>,
        #[serde(rename = "1-h", skip_serializing_if = "Option::is_none")]
        bad: Option<Percent>,
        #[serde(rename = "1-k", skip_serializing_if = "Option::is_none")]
        good: Option<Percent>,
    },
    #[serde(rename = "4-state")]
    FourState {
        p13: Percent,
        p31: Option<Percent>,
        p32: Option<Percent>,
        p23: Option<Percent>,
        p14: Option<Percent>,
    },
    Correlated {
        mean: Percent,
        correlation: Percent,
    },
    NetemCorrelated {
        probability: Percent,
        correlation: Percent,
    },
    List {
        packets: String,
    },
    Nth {
        every: u64,
        first: Option<u64>,
    },
    Pattern {
        pattern: String,
    },
}

impl Table {
    fn of(model: &LossModel) -> Self {
        match model {
            // Never written: a share is serialized as one, not as a table.
            LossModel::Iid(_) => Self::None,
            LossModel::GilbertElliott(model) => Self::gilbert_elliott(model),
            LossModel::FourState(model) => Self::FourState {
                p13: model.p13,
                p31: Some(model.p31),
                p32: Some(model.p32),
                p23: Some(model.p23),
                p14: Some(model.p14),
            },
            LossModel::Correlated(model) => Self::Correlated {
                mean: model.mean,
                correlation: model.correlation,
            },
            LossModel::NetemCorrelated(model) => Self::NetemCorrelated {
                probability: model.probability,
                correlation: model.correlation,
            },
            LossModel::List(list) => Self::List {
                packets: list.to_string(),
            },
            LossModel::Nth(model) => Self::Nth {
                every: model.every,
                first: Some(model.first),
            },
            LossModel::Pattern(pattern) => Self::Pattern {
                pattern: pattern.to_string(),
            },
        }
    }

    fn gilbert_elliott(model: &GilbertElliott) -> Self {
        let (chain, given) = match model.spelling {
            Spelling::Chain { p, r, bad, good } => ([p, r, bad, good].map(Some), None),
            Spelling::Burst {
                mean,
                milli_packets,
            } => ([None; 4], Some((mean, BurstLength(milli_packets)))),
        };
        let [p, r, bad, good] = chain;
        Self::GilbertElliott {
            mean: given.map(|(mean, _)| mean),
            burst: given.map(|(_, burst)| burst),
            p,
            r,
            bad,
            good,
        }
    }

    fn model(self) -> Result<LossModel, UnitError> {
        Ok(match self {
            Self::None => LossModel::NONE,
            Self::GilbertElliott {
                mean,
                burst,
                p,
                r,
                bad,
                good,
            } => LossModel::GilbertElliott(match (mean, burst, p) {
                // One spelling or the other: with both, neither could be met.
                (Some(mean), Some(BurstLength(milli)), None) if [r, bad, good] == [None; 3] => {
                    GilbertElliott::from_burst(mean, milli)?
                }
                (None, None, Some(p)) => GilbertElliott::from_chain(
                    p,
                    r.unwrap_or_else(|| p.complement()),
                    bad.unwrap_or(Percent::HUNDRED),
                    good.unwrap_or(Percent::ZERO),
                )?,
                _ => {
                    return Err(UnitError::new(
                        "gilbert-elliott needs either mean and burst, or p (and r, 1-h, 1-k)",
                    ));
                }
            }),
            Self::FourState {
                p13,
                p31,
                p32,
                p23,
                p14,
            } => LossModel::FourState(FourState::new(
                p13,
                p31.unwrap_or_else(|| p13.complement()),
                p32.unwrap_or(Percent::ZERO),
                p23.unwrap_or(Percent::HUNDRED),
                p14.unwrap_or(Percent::ZERO),
            )?),
            Self::Correlated { mean, correlation } => {
                LossModel::Correlated(CorrelatedLoss::new(mean, correlation)?)
            }
            Self::NetemCorrelated {
                probability,
                correlation,
            } => LossModel::NetemCorrelated(NetemCorrelatedLoss::new(probability, correlation)),
            Self::List { packets } => LossModel::List(packets.parse()?),
            Self::Nth { every, first } => {
                // The last of each group: the first packet, often a handshake, comes through.
                let first = first.unwrap_or_else(|| every.saturating_sub(1));
                LossModel::Nth(NthLoss::new(every, first)?)
            }
            Self::Pattern { pattern } => LossModel::Pattern(pattern.parse()?),
        })
    }
}
