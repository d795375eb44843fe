//! Recordings: what the random impairments did to each packet of a run, to be replayed in another.
//!
//! A [`Link`](crate::link::Link) can record every packet it loses, duplicates, damages or does not
//! give the fixed delay, addressed by direction and packet index; another link, with another seed,
//! build or congestion controller in front of it, can replay the recording and then impairs these
//! packets, and no others. Rate, queue and schedule are not recorded: they react to the load, and
//! do so again.
//!
//! A recording is CSV that can be edited by hand:
//!
//! ```
//! use lftp_netem::recording::Recording;
//!
//! let recording: Recording = "\
//! direction,index,copy,fate,value
//! forward,0,0,lost,
//! forward,7,0,duplicate,
//! forward,7,1,flip,13            # bit 13 of the copy's payload
//! reverse,2,0,delay,45000000     # nanoseconds on the wire
//! ".parse()?;
//! assert_eq!(recording.entries().len(), 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Recording::shrink`] finds the few entries that still make a run fail.

mod csv;
mod shrink;

pub use self::csv::RecordingError;
use crate::Direction;
pub use crate::impair::event::ImpairmentEvent;

/// One line of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingEntry {
    /// Direction of the link the packet was on.
    pub direction: Direction,
    /// Position among the packets of this direction, from 0; a copy has its original's.
    pub index: u64,
    /// Set for the copy that the link made.
    pub copy: bool,
    /// The event.
    pub event: ImpairmentEvent,
}

/// The random events of a run; none for packets that are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recording {
    /// Sorted, each once.
    entries: Vec<RecordingEntry>,
}

impl Recording {
    /// Returns the entries, in order of direction, index and copy.
    #[must_use]
    pub fn entries(&self) -> &[RecordingEntry] {
        &self.entries
    }

    /// Returns the events of a packet.
    pub(crate) fn events(
        &self,
        direction: Direction,
        index: u64,
        copy: bool,
    ) -> impl Iterator<Item = ImpairmentEvent> + '_ {
        let wanted = (direction, index, copy);
        let key = |entry: &RecordingEntry| (entry.direction, entry.index, entry.copy);
        let first = self.entries.partition_point(|entry| key(entry) < wanted);
        let rest = self.entries[first..].iter();
        rest.take_while(move |entry| key(entry) == wanted)
            .map(|entry| entry.event)
    }

    /// Returns the shortest delay in the recording, in nanoseconds.
    pub(crate) fn shortest_ns(&self) -> Option<u64> {
        let delays = self.entries.iter().filter_map(|entry| match entry.event {
            ImpairmentEvent::Delay(ns) => Some(ns),
            _ => None,
        });
        delays.min()
    }
}

impl FromIterator<RecordingEntry> for Recording {
    fn from_iter<I: IntoIterator<Item = RecordingEntry>>(entries: I) -> Self {
        let mut entries: Vec<RecordingEntry> = entries.into_iter().collect();
        entries.sort_unstable();
        entries.dedup();
        Self { entries }
    }
}
