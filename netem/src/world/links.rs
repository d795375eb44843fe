//! A handle to the two links while the world runs.

use std::{fmt, sync::Arc};

use super::{Shared, WorldStats, lock};
use crate::{
    Direction,
    link::{Counters, Link},
    record::PacketRecord,
    recording::Recording,
};

/// The two links and the network's counts; a handle, cheap to clone, that tasks may hold.
#[derive(Clone)]
pub struct Links {
    shared: Arc<Shared>,
}

impl Links {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Counts of what happened on a link so far.
    pub fn counters(&self, direction: Direction) -> Counters {
        lock(&self.shared.network).links[direction]
            .counters()
            .clone()
    }

    /// Packets inside a link, which have no outcome yet.
    pub fn inside_packets(&self, direction: Direction) -> u64 {
        lock(&self.shared.network).links[direction].inside_packets()
    }

    /// Bytes that wait before a link's bottleneck, as of the last packet that came or went.
    pub fn queue_bytes(&self, direction: Direction) -> u64 {
        lock(&self.shared.network).links[direction].queue_bytes()
    }

    /// Starts or stops keeping a record of every packet on both links. Off at first.
    pub fn keep_records(&self, on: bool) {
        let mut network = lock(&self.shared.network);
        network
            .links
            .iter_mut()
            .for_each(|link| link.keep_records(on));
    }

    /// Starts or stops keeping the packets' payloads in their records. Off at first.
    pub fn keep_payloads(&self, on: bool) {
        let mut network = lock(&self.shared.network);
        network
            .links
            .iter_mut()
            .for_each(|link| link.keep_payloads(on));
    }

    /// Moves a link's records since the last call to the end of `into`.
    pub fn take_records(&self, direction: Direction, into: &mut Vec<PacketRecord>) {
        lock(&self.shared.network).links[direction].take_records(into);
    }

    /// Replays a recording on both links from now on: nothing else is impaired at random.
    pub fn replay(&self, recording: &Recording) {
        let mut network = lock(&self.shared.network);
        network
            .links
            .iter_mut()
            .for_each(|link| link.replay(recording));
    }

    /// Starts or stops recording the random events of both links. Off at first.
    pub fn record_events(&self, on: bool) {
        let mut network = lock(&self.shared.network);
        network
            .links
            .iter_mut()
            .for_each(|link| link.record_events(on));
    }

    /// Takes the recording of the random events of both links since the last call.
    pub fn take_recording(&self) -> Recording {
        let mut network = lock(&self.shared.network);
        network
            .links
            .iter_mut()
            .flat_map(Link::take_events)
            .collect()
    }

    /// The network's part of the world's counts: `polls` and `timers_fired` are 0.
    pub fn stats(&self) -> WorldStats {
        lock(&self.shared.network).stats
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").finish_non_exhaustive()
    }
}
