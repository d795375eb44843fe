//! A line of `tc netem` (tc-netem(8)) as a profile, and back where that is possible.

use std::{fmt::Write as _, iter::Peekable};

use super::DirectionSettings;
use crate::{
    impair::{
        self,
        jitter::JitterDistribution,
        loss::{FourState, GilbertElliott, LossModel, NetemCorrelatedLoss},
        position::LossPosition,
        queue::QueueSize,
        reorder::Reorder,
        slots::Slots,
    },
    units::{DurationNs, Percent, Rate, SignedSize, Size, UnitError},
};

/// A line that is no profile, or a profile that is no line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TcError {
    /// A word that is not expected there, or has no meaning here.
    #[error(
        "{0:?} does not belong in a netem line here: expected delay, loss, duplicate, corrupt, \
             reorder, gap, rate, slot, limit or distribution with their values"
    )]
    Word(String),
    /// A value out of range.
    #[error("{word}: {source}")]
    Value {
        /// The option it belongs to.
        word: &'static str,
        /// The reason.
        source: UnitError,
    },
    /// A key that `tc netem` cannot express.
    #[error("tc netem has no option for {0}")]
    NotNetem(&'static str),
}

type Tokens<'t> = Peekable<std::str::SplitAsciiWhitespace<'t>>;

/// Takes the next word, if `read` can parse it.
fn next<T>(words: &mut Tokens<'_>, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    let value = read(words.peek()?)?;
    words.next();
    Some(value)
}

fn is_bare(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// To `tc`, a number is a percentage with or without its sign.
fn percent(text: &str) -> Option<Percent> {
    let bare = if is_bare(text) { "%" } else { "" };
    format!("{text}{bare}").parse().ok()
}

/// To `tc`, a bare number is microseconds, and `sec`, `msec`, `usec` are units.
fn time(text: &str) -> Option<DurationNs> {
    let text = text.trim_end_matches("ec").trim_end_matches("ecs");
    let bare = if is_bare(text) { "us" } else { "" };
    format!("{text}{bare}").parse().ok()
}

/// To `tc`, a bare number is bits per second.
fn rate(text: &str) -> Option<Rate> {
    let bare = if is_bare(text) { "bit" } else { "" };
    format!("{text}{bare}").parse().ok()
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

/// The options that are read.
const OPTIONS: [&str; 13] = [
    "limit",
    "gap",
    "seed",
    "loss",
    "drop",
    "delay",
    "latency",
    "distribution",
    "duplicate",
    "corrupt",
    "reorder",
    "rate",
    "slot",
];

impl DirectionSettings {
    /// Reads what `tc qdisc add ... netem` is given, with or without what stands before it.
    /// Loss, duplication and corruption come before the queue, as there.
    ///
    /// Differences from the kernel: a correlation of anything but loss is met rather than
    /// biased; `reorder` leaves the delay out but not the rate; `limit` counts what waits for the
    /// rate, not what is on the wire, and is left out without a rate; `seed` is ignored.
    ///
    /// # Errors
    /// [`TcError`] names the word that is not known, or the value that is out of range.
    pub fn from_tc(line: &str) -> Result<Self, TcError> {
        let options = line
            .split_once("netem ")
            .map_or(line, |(_, options)| options);
        let mut words = options.split_ascii_whitespace().peekable();
        let mut settings = Self {
            // sch_netem loses in `enqueue`, before its rate.
            loss_position: Some(LossPosition::BeforeQueue),
            ..Self::default()
        };
        let (mut gap, mut limit) = (None, None);
        while let Some(word) = words.next() {
            if !OPTIONS.contains(&word) {
                return Err(TcError::Word(word.to_owned()));
            }
            let known = match word {
                "limit" => next(&mut words, number).map(|packets| limit = Some(packets)),
                "gap" => next(&mut words, number).map(|packets| gap = Some(packets)),
                "seed" => next(&mut words, number).map(drop),
                "loss" | "drop" => {
                    settings.loss = Some(read_loss(&mut words)?);
                    Some(())
                }
                _ => settings.read_option(word, &mut words),
            };
            known.ok_or_else(|| TcError::Word(words.next().unwrap_or(word).to_owned()))?;
        }
        if let Some(reorder) = &mut settings.reorder {
            reorder.gap = gap;
        } else if gap.is_some() {
            // A gap alone has no meaning without the share that is reordered.
            return Err(TcError::Word("gap".to_owned()));
        }
        // The kernel's limit also counts what is delayed, which here waits on the wire: without a rate
        // it has no counterpart.
        if settings.rate.is_some() {
            settings.queue = limit.filter(|limit| *limit > 0).map(QueueSize::Packets);
        }
        let check = settings.check();
        check.map_err(|source| TcError::Value {
            word: "netem",
            source,
        })?;
        Ok(settings)
    }

    /// Reads an option other than loss; `None` when it, or its value, is unknown.
    fn read_option(&mut self, word: &str, words: &mut Tokens<'_>) -> Option<()> {
        match word {
            "delay" | "latency" => {
                self.delay = Some(next(words, time)?);
                self.jitter = next(words, time);
                self.jitter_correlation = next(words, percent);
            }
            "distribution" => {
                self.jitter_distribution = Some(next(words, |name| match name {
                    "uniform" => Some(JitterDistribution::Uniform),
                    "normal" => Some(JitterDistribution::Normal),
                    "pareto" => Some(JitterDistribution::Pareto),
                    "paretonormal" => Some(JitterDistribution::ParetoNormal),
                    _ => None,
                })?);
            }
            "duplicate" => {
                self.duplicate = Some(next(words, percent)?);
                self.duplicate_correlation = next(words, percent);
            }
            "corrupt" => {
                self.corrupt = Some(next(words, percent)?);
                self.corrupt_correlation = next(words, percent);
            }
            "reorder" => {
                self.reorder = Some(Reorder {
                    probability: next(words, percent)?,
                    delay: None,
                    gap: None,
                    correlation: next(words, percent),
                });
            }
            "rate" => {
                self.rate = Some(next(words, rate)?);
                self.overhead = next(words, |text| text.parse().ok()).map(SignedSize);
                self.cell = next(words, number).filter(|bytes| *bytes > 0).map(Size);
                self.cell_overhead = next(words, number)
                    .map(Size)
                    .filter(|_| self.cell.is_some());
            }
            "slot" => {
                let min = next(words, time)?;
                let mut slots = Slots {
                    min,
                    max: next(words, time).unwrap_or(min),
                    packets: None,
                    bytes: None,
                };
                while let Some(key) = next(words, |key| match key {
                    "packets" | "bytes" => Some(key == "packets"),
                    _ => None,
                }) {
                    match key {
                        true => slots.packets = Some(next(words, number)?),
                        false => slots.bytes = Some(Size(next(words, number)?)),
                    }
                }
                self.slots = Some(slots);
            }
            _ => return None,
        }
        Some(())
    }

    /// Returns the options of `tc netem` that are nearest, such as `delay 20ms loss 1%`.
    ///
    /// # Errors
    /// [`TcError::NotNetem`] names a key that has no counterpart there.
    pub fn to_tc(&self) -> Result<String, TcError> {
        self.check_tc()?;
        let mut line = String::new();
        let mut option =
            |word: &str, values: &[Option<String>]| push_option(&mut line, word, values);
        let text = |percent: Option<Percent>| percent.map(|percent| percent.to_string());
        if let Some(delay) = self.delay.or_else(|| self.jitter.map(|_| DurationNs(0))) {
            let jitter = self.jitter.map(|jitter| jitter.to_string());
            option(
                "delay",
                &[
                    Some(delay.to_string()),
                    jitter,
                    text(self.jitter_correlation),
                ],
            );
        }
        match self.jitter_distribution {
            Some(JitterDistribution::Normal) => option("distribution normal", &[]),
            Some(JitterDistribution::Pareto) => option("distribution pareto", &[]),
            Some(JitterDistribution::ParetoNormal) => option("distribution paretonormal", &[]),
            _ => {}
        }
        if let Some(loss) = &self.loss {
            option("loss", &[Some(write_loss(loss)?)]);
        }
        if self.duplicate.is_some() {
            option(
                "duplicate",
                &[text(self.duplicate), text(self.duplicate_correlation)],
            );
        }
        if self.corrupt.is_some() {
            option(
                "corrupt",
                &[text(self.corrupt), text(self.corrupt_correlation)],
            );
        }
        if let Some(reorder) = self.reorder {
            option(
                "reorder",
                &[text(Some(reorder.probability)), text(reorder.correlation)],
            );
            reorder
                .gap
                .inspect(|gap| option("gap", &[Some(gap.to_string())]));
        }
        self.write_bottleneck(&mut line)?;
        Ok(line.trim_start().to_owned())
    }

    /// Writes the options of the bottleneck: rate, slots and limit.
    fn write_bottleneck(&self, line: &mut String) -> Result<(), TcError> {
        let mut option = |word: &str, values: &[Option<String>]| push_option(line, word, values);
        if let Some(rate) = self.rate {
            let bytes = |size: Option<Size>| size.unwrap_or_default().0.to_string();
            let frame = [
                Some(self.overhead.unwrap_or_default().0.to_string()),
                Some(bytes(self.cell)),
                Some(bytes(self.cell_overhead)),
            ];
            let framed = frame.iter().any(|bytes| bytes.as_deref() != Some("0"));
            let values = std::iter::once(Some(rate.to_string()));
            let values: Vec<_> = values.chain(frame.into_iter().filter(|_| framed)).collect();
            option("rate", &values);
        }
        if let Some(slots) = self.slots {
            option(
                "slot",
                &[Some(slots.min.to_string()), Some(slots.max.to_string())],
            );
            slots
                .packets
                .inspect(|packets| option("packets", &[Some(packets.to_string())]));
            slots
                .bytes
                .inspect(|bytes| option("bytes", &[Some(bytes.0.to_string())]));
        }
        match self.queue {
            Some(QueueSize::Packets(packets)) => option("limit", &[Some(packets.to_string())]),
            Some(_) => return Err(TcError::NotNetem("a queue in other units than packets")),
            None => {}
        }
        Ok(())
    }

    /// Refuses keys that `tc netem` has no option for.
    fn check_tc(&self) -> Result<(), TcError> {
        if let Some(key) = impair::given_but_not_in_tc(&self.impairments()).next() {
            return Err(TcError::NotNetem(key));
        }
        let absent = [
            ("burst (see tc-tbf(8))", self.burst.is_none()),
            (
                "discipline (put another qdisc beside it)",
                self.discipline.is_none(),
            ),
            ("ecn_threshold", self.ecn_threshold.is_none()),
            ("a mahimahi trace", self.mahimahi.is_none()),
            ("cross_traffic", self.cross_traffic.is_none()),
            ("schedule", self.schedule.is_none()),
            ("jitter_table (a file there)", self.jitter_table.is_none()),
            ("jitter_reorder = false", self.jitter_reorder != Some(false)),
            (
                "late packets",
                self.reorder.is_none_or(|reorder| reorder.delay.is_none()),
            ),
        ];
        if let Some((name, _)) = absent.into_iter().find(|(_, absent)| !absent) {
            return Err(TcError::NotNetem(name));
        }
        Ok(())
    }
}

/// Writes an option and its values up to the first that is not given.
fn push_option(line: &mut String, word: &str, values: &[Option<String>]) {
    let values = values.iter().map_while(Option::as_ref);
    let _ = write!(line, " {word}");
    values.for_each(|value| line.extend([" ", value]));
}

fn read_loss(words: &mut Tokens<'_>) -> Result<LossModel, TcError> {
    let value = |source| TcError::Value {
        word: "loss",
        source,
    };
    let kind = words.next_if(|word| ["random", "state", "gemodel"].contains(word));
    let Some(p) = next(words, percent) else {
        return Err(TcError::Word(words.next().unwrap_or("loss").to_owned()));
    };
    Ok(match kind {
        Some("state") => {
            let p31 = next(words, percent).unwrap_or_else(|| p.complement());
            let p32 = next(words, percent).unwrap_or_default();
            let p23 = next(words, percent).unwrap_or(Percent::HUNDRED);
            let p14 = next(words, percent).unwrap_or_default();
            LossModel::FourState(FourState::new(p, p31, p32, p23, p14).map_err(value)?)
        }
        Some("gemodel") => {
            let r = next(words, percent).unwrap_or_else(|| p.complement());
            let bad = next(words, percent).unwrap_or(Percent::HUNDRED);
            let good = next(words, percent).unwrap_or_default();
            let model = GilbertElliott::from_chain(p, r, bad, good);
            LossModel::GilbertElliott(model.map_err(value)?)
        }
        _ => match next(words, percent) {
            // Not `correlated`: a tc line means what the kernel does, though it loses less.
            Some(correlation) => {
                LossModel::NetemCorrelated(NetemCorrelatedLoss::new(p, correlation))
            }
            None => LossModel::Iid(p),
        },
    })
}

fn write_loss(loss: &LossModel) -> Result<String, TcError> {
    match loss {
        LossModel::Iid(probability) => Ok(probability.to_string()),
        LossModel::NetemCorrelated(model) => Ok(model.tc()),
        LossModel::FourState(model) => Ok(model.tc()),
        LossModel::GilbertElliott(model) => model.tc().ok_or(TcError::NotNetem("a burst length")),
        _ => Err(TcError::NotNetem("this loss model")),
    }
}
