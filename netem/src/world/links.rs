//! A look at the two links while the world runs.

use std::{fmt, sync::Arc};

use super::{Shared, WorldStats, lock};
use crate::{Direction, link::Counters, record::PacketRecord, recording::Recording};

/// The two links and the network's counts; a handle, cheap to clone, that tasks may hold.
#[derive(Clone)]
pub struct Links {
    shared: Arc<Shared>,
}

impl Links {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// What happened on a link so far.
    pub fn counters(&self, direction: Direction) -> Counters {
        lock(&self.shared.network)
            .link(direction)
            .counters()
            .clone()
    }

    /// Packets inside a link that have met no fate yet.
    pub fn inside_packets(&self, direction: Direction) -> u64 {
        lock(&self.shared.network).link(direction).inside_packets()
    }

    /// What waits before a link's bottleneck, as of the last packet that came or went.
    pub fn queue_bytes(&self, direction: Direction) -> u64 {
        lock(&self.shared.network).link(direction).queue_bytes()
    }

    /// Keep a record of every packet on both links from now on, or no longer. Off at first.
    pub fn keep_records(&self, on: bool) {
        let mut network = lock(&self.shared.network);
        for direction in [Direction::Forward, Direction::Reverse] {
            network.link(direction).keep_records(on);
        }
    }

    /// Have the records the packets' contents from now on, or no longer? Off at first.
    pub fn keep_payloads(&self, on: bool) {
        let mut network = lock(&self.shared.network);
        for direction in [Direction::Forward, Direction::Reverse] {
            network.link(direction).keep_payloads(on);
        }
    }

    /// Moves a link's records since the last call to the end of `into`.
    pub fn take_records(&self, direction: Direction, into: &mut Vec<PacketRecord>) {
        lock(&self.shared.network)
            .link(direction)
            .take_records(into);
    }

    /// From now on, chance does on both links what is on the tape, and nothing else.
    pub fn replay(&self, tape: &Recording) {
        let mut network = lock(&self.shared.network);
        for direction in [Direction::Forward, Direction::Reverse] {
            network.link(direction).replay(tape);
        }
    }

    /// Write what chance does on both links to a tape from now on, or no longer. Off at first.
    pub fn record_events(&self, on: bool) {
        let mut network = lock(&self.shared.network);
        for direction in [Direction::Forward, Direction::Reverse] {
            network.link(direction).record_events(on);
        }
    }

    /// The tape of what chance has done on both links since the last call.
    pub fn take_recording(&self) -> Recording {
        let mut network = lock(&self.shared.network);
        let directions = [Direction::Forward, Direction::Reverse].into_iter();
        directions
            .flat_map(|direction| network.link(direction).take_events())
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
