//! A trace of mahimahi: when the link can send.

use std::{fmt, str::FromStr, sync::Arc};

use crate::units::{UnitError, text_form};

/// The text of a mahimahi trace (`mm-link(1)`): whole milliseconds, none smaller than the one
/// before and the last above 0; each is a delivery opportunity of 1504 bytes (1500 and mahimahi's
/// header of 4). After the last it starts again, with the last as the new zero: `"1"` is
/// 12 Mbit/s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MahimahiTrace {
    times_ms: Arc<[u64]>,
}

impl MahimahiTrace {
    /// Returns the times of the delivery opportunities, in milliseconds.
    #[must_use]
    pub fn times_ms(&self) -> &[u64] {
        &self.times_ms
    }

    /// Returns the milliseconds after which it starts again.
    #[must_use]
    pub fn period_ms(&self) -> u64 {
        self.times_ms[self.times_ms.len() - 1]
    }

    /// Returns the mean rate in bits per second, with 1500 bytes a delivery opportunity.
    #[must_use]
    pub fn mean_bps(&self) -> u64 {
        let bits = self.times_ms.len() as u64 * 1500 * 8;
        bits * 1000 / self.period_ms()
    }
}

const TRACE: &str = "a mahimahi trace";
const TRACE_HINT: &str = "write the milliseconds of its delivery opportunities in ascending order, the \
                          last above 0, such as \"1 2 2 4\"";
/// A year: sums of times stay far from the end of 64 bits.
const TIME_MAX_MS: u64 = 365 * 24 * 3_600_000;

impl FromStr for MahimahiTrace {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = |what: String| Err(UnitError::new(format!("{what}: {TRACE_HINT}")));
        let mut times_ms = Vec::new();
        for number in text.split_ascii_whitespace() {
            let before = times_ms.last().copied().unwrap_or(0);
            match number.parse::<u64>() {
                // Equal times are allowed: several opportunities in one millisecond are a fast
                // link.
                Ok(ms) if ms < before => return fail(format!("{ms} comes after {before}")),
                Ok(ms) if ms <= TIME_MAX_MS => times_ms.push(ms),
                _ => return fail(format!("{number:?} does not belong in {TRACE}")),
            }
        }
        match times_ms.last() {
            None | Some(0) => fail(format!("{TRACE} has no duration")),
            Some(_) => Ok(Self {
                times_ms: times_ms.into(),
            }),
        }
    }
}

impl fmt::Display for MahimahiTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, ms) in self.times_ms.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { " " })?;
            write!(f, "{ms}")?;
        }
        Ok(())
    }
}

text_form!(MahimahiTrace, TRACE, TRACE_HINT);
