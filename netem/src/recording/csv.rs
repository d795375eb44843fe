//! A recording as CSV.

use std::{fmt, str::FromStr};

use super::{Recording, RecordingEntry};
use crate::{
    Direction,
    impair::{self, event::ImpairmentEvent},
};

/// A line that is no entry of a recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: {text:?} is not an event: expected {HEADER}, such as forward,17,0,lost, or \
         reverse,3,0,delay,45000000; fate is one of lost, lost-burst, duplicate, flip (a bit), \
         cut (to bytes), delay (nanoseconds)"
)]
pub struct RecordingError {
    /// The line, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
}

const HEADER: &str = "direction,index,copy,fate,value";

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        for entry in &self.entries {
            let (name, value) = match entry.event {
                ImpairmentEvent::Lost => ("lost", None),
                ImpairmentEvent::LostBurst => ("lost-burst", None),
                ImpairmentEvent::Duplicate => ("duplicate", None),
                ImpairmentEvent::Flip(bit) => ("flip", Some(bit)),
                ImpairmentEvent::Cut(bytes) => ("cut", Some(bytes)),
                ImpairmentEvent::Other(name, value) => (name, Some(value)),
                ImpairmentEvent::Delay(ns) => ("delay", Some(ns)),
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

impl FromStr for Recording {
    type Err = RecordingError;

    /// Entries in any order; blank lines, the heading and what follows a `#` are skipped.
    fn from_str(text: &str) -> Result<Self, RecordingError> {
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or("").trim());
        let entries = (1..)
            .zip(lines)
            .filter(|(_, row)| !row.is_empty() && *row != HEADER);
        let entries = entries.map(|(line, row)| {
            entry(row).ok_or_else(|| RecordingError {
                line,
                text: row.to_owned(),
            })
        });
        entries.collect()
    }
}

fn entry(row: &str) -> Option<RecordingEntry> {
    let fields: Vec<&str> = row.split(',').map(str::trim).collect();
    let (&[direction, index, copy, name], value) = match *fields.as_slice() {
        // The value, and the comma before it, may be left out.
        [ref first @ .., value] if first.len() == 4 => (first.try_into().ok()?, value),
        ref all => (all.try_into().ok()?, ""),
    };
    let valued = |event: fn(u64) -> ImpairmentEvent| value.parse().ok().map(event);
    Some(RecordingEntry {
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
        event: match (name, value) {
            ("lost", "") => ImpairmentEvent::Lost,
            ("lost-burst", "") => ImpairmentEvent::LostBurst,
            ("duplicate", "") => ImpairmentEvent::Duplicate,
            ("flip", _) => valued(ImpairmentEvent::Flip)?,
            ("cut", _) => valued(ImpairmentEvent::Cut)?,
            ("delay", _) => valued(ImpairmentEvent::Delay)?,
            (name, _) => ImpairmentEvent::Other(impair::other_event(name)?, value.parse().ok()?),
        },
    })
}
