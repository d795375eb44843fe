//! Jitter, as a profile asks for it.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::units::{Percent, UnitError, text_form};

/// Distribution of the jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum JitterDistribution {
    /// Evenly between `delay - jitter` and `delay + jitter`.
    #[default]
    Uniform,
    /// Normal, with `jitter` as its standard deviation. A delay below zero becomes zero.
    Normal,
    /// Pareto with α = 3, as in iproute2's `pareto.dist`: `4/3 jitter (x - 3/2)` where
    /// `P(x > t) = t^-3`. So it is at least -2/3 jitter, has a mean of 0 and a long tail, which
    /// is cut at 4 jitter as in the kernel's table.
    Pareto,
    /// A quarter of the normal value and three quarters of the Pareto one of the same rank, as in
    /// iproute2's `paretonormal.dist` (`netem/paretonormal.c`, after NIST Net): so it is at
    /// least -2.1 jitter, half of it is below -0.24 jitter, and its tail is nearly Pareto's. Cut
    /// at 4 jitter as in the kernel's table.
    #[serde(rename = "paretonormal")]
    ParetoNormal,
    /// The values of `jitter_table`, each as likely as any other.
    Table,
}

/// Variation of the delay.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Jitter {
    /// The unit of the distribution, in nanoseconds: half the width of the uniform one, or the
    /// normal one's standard deviation.
    pub ns: u64,
    /// Its distribution.
    pub distribution: JitterDistribution,
    /// Correlation of a packet's jitter with that of the packet before.
    pub correlation: Percent,
    /// The values of [`JitterDistribution::Table`].
    pub table: Option<JitterTable>,
}

/// Equally likely values of jitter, as in the `.dist` files of iproute2 (`tc/q_netem.c`,
/// `get_distribution`): whole numbers from -32768 to 32767 in units of jitter / 8192, with
/// blanks between them. A line from `#` on is a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JitterTable {
    values: Arc<[i16]>,
}

/// Divisor of a table's unit (`NETEM_DIST_SCALE`).
pub(crate) const TABLE_SCALE: i64 = 8192;

impl JitterTable {
    pub(crate) fn values(&self) -> &[i16] {
        &self.values
    }
}

const TABLE: &str = "a jitter table";
const TABLE_HINT: &str = "write whole numbers from -32768 to 32767 in units of jitter / 8192, \
                          such as \"-8192 0 8192\"";

impl FromStr for JitterTable {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or(""));
        let numbers = lines.flat_map(str::split_ascii_whitespace);
        let values = numbers.map(|number| {
            let no = |_| {
                UnitError::new(format!(
                    "{number:?} does not belong in {TABLE}: {TABLE_HINT}"
                ))
            };
            number.parse().map_err(no)
        });
        let values = values.collect::<Result<Arc<[i16]>, _>>()?;
        if values.is_empty() {
            return Err(UnitError::new(format!(
                "{TABLE} without a value: {TABLE_HINT}"
            )));
        }
        Ok(Self { values })
    }
}

impl fmt::Display for JitterTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, value) in self.values.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { " " })?;
            write!(f, "{value}")?;
        }
        Ok(())
    }
}

text_form!(JitterTable, TABLE, TABLE_HINT);
