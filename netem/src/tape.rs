//! The fate tape: what chance did to each packet, to be done again in another run.
//!
//! A [`Link`](crate::link::Link) can write down every packet it loses, duplicates, damages or
//! delays other than fixed, addressed by direction and packet index; another link, with another
//! seed, build or congestion controller in front of it, can be fed the tape and then does just
//! that, and nothing else, by chance. Rate, queue and schedule are not on the tape: they answer
//! to the load, and do so again.
//!
//! A tape is CSV that can be edited by hand:
//!
//! ```
//! use lftp_netem::tape::Tape;
//!
//! let tape: Tape = "\
//! direction,index,copy,fate,value
//! forward,0,0,lost,
//! forward,7,0,duplicate,
//! forward,7,1,flip,13            # bit 13 of the copy's payload
//! reverse,2,0,delay,45000000     # nanoseconds on the wire
//! ".parse()?;
//! assert_eq!(tape.entries().len(), 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Tape::shrink`] finds the few entries that still make a run fail.

mod shrink;
mod text;

pub use self::text::TapeError;
use crate::Direction;

/// What happened to a packet by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TapedFate {
    /// It was lost, independently of its neighbours.
    Lost,
    /// It was lost in a burst.
    LostBurst,
    /// It was duplicated.
    Duplicate,
    /// This bit of the payload was flipped; one that is not there is left alone.
    Flip(u64),
    /// The payload was cut to so many bytes.
    Cut(u64),
    /// It was on the wire for so many nanoseconds rather than the fixed delay.
    Delay(u64),
}

/// One line of a tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TapeEntry {
    /// The link the packet was on.
    pub direction: Direction,
    /// The how-manyeth packet to enter this direction, from 0; a copy has its original's.
    pub index: u64,
    /// Is it the copy that the link made?
    pub copy: bool,
    /// What happened.
    pub fate: TapedFate,
}

/// What happened to the packets of a run by chance; nothing to those that are not on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tape {
    /// Sorted, each once.
    entries: Vec<TapeEntry>,
}

impl Tape {
    /// The entries, in order of direction, index and copy.
    #[must_use]
    pub fn entries(&self) -> &[TapeEntry] {
        &self.entries
    }

    /// What happened to a packet.
    pub(crate) fn fates(
        &self,
        direction: Direction,
        index: u64,
        copy: bool,
    ) -> impl Iterator<Item = TapedFate> + '_ {
        let wanted = (direction, index, copy);
        let key = |entry: &TapeEntry| (entry.direction, entry.index, entry.copy);
        let first = self.entries.partition_point(|entry| key(entry) < wanted);
        let rest = self.entries[first..].iter();
        rest.take_while(move |entry| key(entry) == wanted)
            .map(|entry| entry.fate)
    }

    /// The shortest delay on the tape.
    pub(crate) fn shortest_ns(&self) -> Option<u64> {
        let delays = self.entries.iter().filter_map(|entry| match entry.fate {
            TapedFate::Delay(ns) => Some(ns),
            _ => None,
        });
        delays.min()
    }
}

impl FromIterator<TapeEntry> for Tape {
    fn from_iter<I: IntoIterator<Item = TapeEntry>>(entries: I) -> Self {
        let mut entries: Vec<TapeEntry> = entries.into_iter().collect();
        entries.sort_unstable();
        entries.dedup();
        Self { entries }
    }
}
