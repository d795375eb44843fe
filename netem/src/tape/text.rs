//! A tape as text.

use std::{fmt, str::FromStr};

use super::{Tape, TapeEntry, TapedFate};
use crate::Direction;

/// A line that is no entry of a tape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: {text:?} is no fate: expected {HEADER}, such as forward,17,0,lost, or \
         reverse,3,0,delay,45000000; fates are lost, lost-burst, duplicate, flip (a bit), \
         cut (to bytes) and delay (nanoseconds)"
)]
pub struct TapeError {
    /// The line, from 1.
    pub line: usize,
    /// What it says.
    pub text: String,
}

const HEADER: &str = "direction,index,copy,fate,value";

impl fmt::Display for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        for entry in &self.entries {
            let (name, value) = match entry.fate {
                TapedFate::Lost => ("lost", None),
                TapedFate::LostBurst => ("lost-burst", None),
                TapedFate::Duplicate => ("duplicate", None),
                TapedFate::Flip(bit) => ("flip", Some(bit)),
                TapedFate::Cut(bytes) => ("cut", Some(bytes)),
                TapedFate::Delay(ns) => ("delay", Some(ns)),
            };
            let (direction, index, copy) = (entry.direction, entry.index, u8::from(entry.copy));
            write!(f, "{direction},{index},{copy},{name},")?;
            if let Some(value) = value {
                write!(f, "{value}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl FromStr for Tape {
    type Err = TapeError;

    /// Entries in any order; blank lines, the heading and what follows a `#` are skipped.
    fn from_str(text: &str) -> Result<Self, TapeError> {
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or("").trim());
        let entries = (1..)
            .zip(lines)
            .filter(|(_, row)| !row.is_empty() && *row != HEADER);
        let entries = entries.map(|(line, row)| {
            entry(row).ok_or_else(|| TapeError {
                line,
                text: row.to_owned(),
            })
        });
        entries.collect()
    }
}

fn entry(row: &str) -> Option<TapeEntry> {
    let fields: Vec<&str> = row.split(',').map(str::trim).collect();
    let (&[direction, index, copy, fate], value) = match *fields.as_slice() {
        [ref first @ .., value] if first.len() == 4 => (first.try_into().ok()?, value),
        ref all => (all.try_into().ok()?, ""),
    };
    let valued = |fate: fn(u64) -> TapedFate| value.parse().ok().map(fate);
    Some(TapeEntry {
        direction: match direction {
            "forward" => Direction::Forward,
            "reverse" => Direction::Reverse,
            _ => return None,
        },
        index: index.parse().ok()?,
        copy: match copy {
            "0" => false,
            "1" => true,
            _ => return None,
        },
        fate: match (fate, value) {
            ("lost", "") => TapedFate::Lost,
            ("lost-burst", "") => TapedFate::LostBurst,
            ("duplicate", "") => TapedFate::Duplicate,
            ("flip", _) => valued(TapedFate::Flip)?,
            ("cut", _) => valued(TapedFate::Cut)?,
            ("delay", _) => valued(TapedFate::Delay)?,
            _ => return None,
        },
    })
}
