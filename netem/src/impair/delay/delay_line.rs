//! Packets on the wire, and which of them comes out next.
//!
//! Nearly all come out in the order they went in, and those wait in a ring. Only a packet that
//! overtakes, or is to be overtaken, goes to a heap, and the heap holds its place in a slab, so
//! that no packet is moved about as the heap is sorted.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use crate::{Time, in_flight::InFlight};

/// Time at which a packet is due, and its position among those that entered: of two due at once the first
/// leaves first.
type Turn = (Time, u64);

#[derive(Debug, Default)]
pub(crate) struct DelayLine {
    entered: u64,
    in_order: VecDeque<(Turn, Box<InFlight>)>,
    /// Turns and indices into `slab`.
    others: BinaryHeap<Reverse<(Turn, usize)>>,
    slab: Vec<Option<Box<InFlight>>>,
    free: Vec<usize>,
}

impl DelayLine {
    /// Adds a packet; `overtaken` says that those behind it will overtake.
    pub(crate) fn add(&mut self, due: Time, overtaken: bool, in_flight: Box<InFlight>) {
        let turn = (due, self.entered);
        self.entered += 1;
        // The ring costs less than the heap, and nearly every packet fits it.
        let behind = self.in_order.back().is_none_or(|(last, _)| last.0 <= due);
        if behind && !overtaken {
            self.in_order.push_back((turn, in_flight));
            return;
        }
        let place = match self.free.pop() {
            Some(place) => {
                self.slab[place] = Some(in_flight);
                place
            }
            None => {
                self.slab.push(Some(in_flight));
                self.slab.len() - 1
            }
        };
        self.others.push(Reverse((turn, place)));
    }

    /// Returns the time at which the next packet is due.
    pub(crate) fn next_due(&self) -> Option<Time> {
        let first = self.in_order.front().map(|(turn, _)| turn.0);
        match self.others.peek() {
            None => first,
            Some(Reverse((other, _))) => Some(first.map_or(other.0, |first| first.min(other.0))),
        }
    }

    /// Takes the next packet, if it is due, and the time at which it was.
    pub(crate) fn take(&mut self, now: Time) -> Option<(Time, Box<InFlight>)> {
        let first = self.in_order.front().map(|(turn, _)| *turn);
        if let Some(&Reverse((turn, place))) = self.others.peek()
            // By turn, not by time alone: at the same time the one that entered first leaves first.
            && first.is_none_or(|first| turn < first)
        {
            if turn.0 > now {
                return None;
            }
            self.others.pop();
            self.free.push(place);
            return self.slab[place].take().map(|in_flight| (turn.0, in_flight));
        }
        if first?.0 > now {
            return None;
        }
        let (turn, in_flight) = self.in_order.pop_front()?;
        Some((turn.0, in_flight))
    }
}
