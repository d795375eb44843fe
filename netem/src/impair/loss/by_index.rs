//! Loss by the packet's index: a list, every Nth, a pattern. None of them is random.

use std::{fmt, str::FromStr, sync::Arc};

use crate::units::{Percent, UnitError};

/// The packets with these indices, counted from 0 in each direction: `"0, 7, 20-29"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossList {
    /// First and last of each range, ascending and apart.
    ranges: Arc<[(u64, u64)]>,
}

impl LossList {
    /// Returns whether this packet is in the list.
    #[must_use]
    pub fn contains(&self, index: u64) -> bool {
        // The last range that begins at or before it is the only one that can hold it.
        let after = self.ranges.partition_point(|(first, _)| *first <= index);
        after > 0 && index <= self.ranges[after - 1].1
    }
}

impl FromIterator<u64> for LossList {
    fn from_iter<I: IntoIterator<Item = u64>>(indices: I) -> Self {
        joined(indices.into_iter().map(|index| (index, index)).collect())
    }
}

fn joined(mut ranges: Vec<(u64, u64)>) -> LossList {
    ranges.sort_unstable();
    let mut apart: Vec<(u64, u64)> = Vec::new();
    for (first, last) in ranges {
        match apart.last_mut() {
            // Neighbours are joined as well, so that equal lists compare equal however they were
            // written.
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => apart.push((first, last)),
        }
    }
    LossList {
        ranges: apart.into(),
    }
}

impl FromStr for LossList {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let parts = text.split([',', ' ', '\n']).filter(|part| !part.is_empty());
        let ranges = parts.map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (first.parse(), last.parse()) {
                (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
                _ => Err(UnitError::new(format!(
                    "{part:?} is not a packet index: write \"0, 7, 20-29\" (indices from 0)"
                ))),
            }
        });
        Ok(joined(ranges.collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for LossList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (first, last)) in self.ranges.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { ", " })?;
            write!(f, "{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
        }
        Ok(())
    }
}

/// Every Nth packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NthLoss {
    pub(super) every: u64,
    pub(super) first: u64,
}

impl NthLoss {
    /// Creates the loss of the packets `first`, `first + every`, `first + 2 every` and so on.
    ///
    /// # Errors
    /// `every` is 0.
    pub fn new(every: u64, first: u64) -> Result<Self, UnitError> {
        if every == 0 {
            return Err(UnitError::new("every is 0: expected 1 or more"));
        }
        Ok(Self { every, first })
    }

    /// Returns whether this packet is lost.
    #[must_use]
    pub const fn contains(&self, index: u64) -> bool {
        index >= self.first && (index - self.first).is_multiple_of(self.every)
    }

    /// Returns the share of packets lost in the long run.
    #[must_use]
    pub const fn mean(&self) -> Percent {
        Percent::from_parts(Percent::WHOLE / self.every)
    }
}

/// A pattern of packets that recurs: `"....x"`, where `x` (or `1`) is lost
/// and `.` (or `0`) comes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossPattern {
    lost: Arc<[bool]>,
}

impl LossPattern {
    /// Returns whether this packet is lost.
    #[must_use]
    pub fn contains(&self, index: u64) -> bool {
        self.lost[(index % self.lost.len() as u64) as usize]
    }

    /// Returns the share of packets lost in the long run.
    #[must_use]
    pub fn mean(&self) -> Percent {
        let lost = self.lost.iter().filter(|lost| **lost).count() as u128;
        let parts = u128::from(Percent::WHOLE) * lost / self.lost.len() as u128;
        Percent::from_parts(parts as u64)
    }
}

impl FromStr for LossPattern {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let marks = text.chars().filter(|mark| !mark.is_whitespace());
        let lost = marks.map(|mark| match mark {
            'x' | '1' => Ok(true),
            '.' | '0' => Ok(false),
            _ => Err(UnitError::new(format!(
                "{mark:?} does not belong in a pattern: write \"....x\" (x is lost, . is not)"
            ))),
        });
        let lost = lost.collect::<Result<Arc<[bool]>, _>>()?;
        if lost.is_empty() {
            return Err(UnitError::new("an empty pattern: write \"....x\""));
        }
        Ok(Self { lost })
    }
}

impl fmt::Display for LossPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marks = self.lost.iter();
        let marks: String = marks.map(|lost| if *lost { 'x' } else { '.' }).collect();
        f.write_str(&marks)
    }
}
