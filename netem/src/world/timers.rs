//! Timers: an indexed heap ordered by (deadline, sequence number).
//!
//! A transport moves its timer with nearly every packet. In an indexed heap a move sifts one
//! entry among the few that are armed. `BinaryHeap` cannot move an entry: each move would leave a
//! stale one behind, to be popped later.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use slotmap::{SlotMap, new_key_type};

use super::{Shared, lock};
use crate::Time;

new_key_type! {
    /// Names a timer.
    struct TimerId;
}

/// The `position` of a timer that is not in the heap.
const UNARMED: usize = usize::MAX;

#[derive(Clone, Copy)]
struct HeapEntry {
    at: Time,
    sequence: u64,
    timer: TimerId,
}

impl HeapEntry {
    fn is_before(&self, other: &Self) -> bool {
        (self.at, self.sequence) < (other.at, other.sequence)
    }
}

struct Watched {
    /// Index in the heap, or [`UNARMED`].
    position: usize,
    waker: Option<Waker>,
}

/// Every timer that a task waits for.
#[derive(Default)]
pub(super) struct Timers {
    heap: Vec<HeapEntry>,
    watched: SlotMap<TimerId, Watched>,
    sequence: u64,
    pub(super) fired: u64,
}

impl Timers {
    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Time> {
        self.heap.first().map(|entry| entry.at)
    }

    /// Takes the wakers of all that are due, in order.
    pub(super) fn fire(&mut self, now: Time, wakers: &mut Vec<Waker>) {
        while let Some(entry) = self.heap.first()
            && entry.at <= now
        {
            let timer = entry.timer;
            self.remove_at(0);
            self.fired += 1;
            wakers.extend(self.watched[timer].waker.take());
        }
    }

    fn add(&mut self) -> TimerId {
        self.watched.insert(Watched {
            position: UNARMED,
            waker: None,
        })
    }

    /// Removes a timer; its waker is handed back, to be dropped outside the lock.
    fn remove(&mut self, timer: TimerId) -> Option<Waker> {
        self.disarm(timer);
        self.watched.remove(timer)?.waker
    }

    /// Registers `waker`; a replaced one is handed back, to be dropped outside the lock.
    fn watch(&mut self, timer: TimerId, waker: &Waker) -> Option<Waker> {
        let current = &mut self.watched[timer].waker;
        if current.as_ref().is_some_and(|old| old.will_wake(waker)) {
            return None;
        }
        current.replace(waker.clone())
    }

    fn arm(&mut self, timer: TimerId, at: Time) {
        // Left in the heap, a timer that never fires would hide that nothing is left to happen.
        if at == Time::MAX {
            self.disarm(timer);
            return;
        }
        let position = self.watched[timer].position;
        if position == UNARMED {
            let entry = self.entry(timer, at);
            self.heap.push(entry);
            self.sift_up(self.heap.len() - 1);
        // The same deadline keeps its sequence number: a timer that is polled again must not fall
        // behind others of that instant.
        } else if self.heap[position].at != at {
            self.heap[position] = self.entry(timer, at);
            let position = self.sift_up(position);
            self.sift_down(position);
        }
    }

    const fn entry(&mut self, timer: TimerId, at: Time) -> HeapEntry {
        self.sequence += 1;
        HeapEntry {
            at,
            sequence: self.sequence,
            timer,
        }
    }

    fn disarm(&mut self, timer: TimerId) {
        let position = self.watched[timer].position;
        if position != UNARMED {
            self.remove_at(position);
        }
    }

    fn remove_at(&mut self, position: usize) {
        // The last entry takes the place, and may belong above or below it.
        let removed = self.heap.swap_remove(position);
        self.watched[removed.timer].position = UNARMED;
        if position < self.heap.len() {
            let position = self.sift_up(position);
            self.sift_down(position);
        }
    }

    fn sift_up(&mut self, mut position: usize) -> usize {
        let entry = self.heap[position];
        while position > 0 {
            let parent = (position - 1) / 2;
            if !entry.is_before(&self.heap[parent]) {
                break;
            }
            self.place(position, self.heap[parent]);
            position = parent;
        }
        self.place(position, entry);
        position
    }

    fn sift_down(&mut self, mut position: usize) {
        let entry = self.heap[position];
        loop {
            let mut child = 2 * position + 1;
            if child >= self.heap.len() {
                break;
            }
            if child + 1 < self.heap.len() && self.heap[child + 1].is_before(&self.heap[child]) {
                child += 1;
            }
            if !self.heap[child].is_before(&entry) {
                break;
            }
            self.place(position, self.heap[child]);
            position = child;
        }
        self.place(position, entry);
    }

    fn place(&mut self, position: usize, entry: HeapEntry) {
        self.heap[position] = entry;
        self.watched[entry.timer].position = position;
    }
}

/// A timer that can be set again. As a future it is ready once its deadline is reached.
pub struct Timer {
    shared: Arc<Shared>,
    deadline: Time,
    /// The timer's name in the heap, and the deadline that stands there; from the first wait on.
    watched: Option<(TimerId, Time)>,
}

impl Timer {
    pub(super) const fn new(shared: Arc<Shared>, deadline: Time) -> Self {
        Self {
            shared,
            deadline,
            watched: None,
        }
    }

    /// The time at which it fires.
    pub const fn deadline(&self) -> Time {
        self.deadline
    }

    /// Moves the deadline; [`Time::MAX`] is never. A task that waits is woken at the new one,
    /// or, when that is later and the timer has not been polled since, at the old one.
    pub fn reset(&mut self, at: Time) {
        self.deadline = at;
        // A later deadline waits for the next poll to reach the heap: most resets are followed by
        // one at once, and the heap is then changed once instead of twice.
        if let Some((timer, armed_at)) = &mut self.watched
            && at < *armed_at
        {
            *armed_at = at;
            let mut timers = lock(&self.shared.timers);
            // Without a waker it has fired and no task waits.
            if timers.watched[*timer].waker.is_some() {
                timers.arm(*timer, at);
            }
        }
    }

    /// Ready once the deadline is reached, and until the timer is reset.
    pub fn poll_fire(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // A timer that is due is not armed: it would fire once more for nothing.
        if self.deadline <= self.shared.now() {
            return Poll::Ready(());
        }
        let mut timers = lock(&self.shared.timers);
        let timer = match self.watched {
            Some((timer, _)) => timer,
            None => timers.add(),
        };
        self.watched = Some((timer, self.deadline));
        timers.arm(timer, self.deadline);
        let replaced = timers.watch(timer, cx.waker());
        drop(timers);
        drop(replaced);
        Poll::Pending
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_fire(cx)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some((timer, _)) = self.watched {
            let waker = lock(&self.shared.timers).remove(timer);
            drop(waker);
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ns: u64) -> Time {
        Time::from_nanos(ns)
    }

    /// Against a sorted list, through a few thousand moves and removals.
    #[test]
    fn the_heap_agrees_with_a_sorted_list() {
        let mut timers = Timers::default();
        let mut model: Vec<Option<(u64, u64)>> = (0..40).map(|_| None).collect();
        let ids: Vec<TimerId> = model.iter().map(|_| timers.add()).collect();
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let (which, deadline) = ((state >> 33) as usize % 40, (state >> 40) % 1000);
            if state >> 60 == 0 {
                timers.disarm(ids[which]);
                model[which] = None;
            } else {
                timers.arm(ids[which], at(deadline));
                if model[which].is_none_or(|(old, _)| old != deadline) {
                    model[which] = Some((deadline, timers.sequence));
                }
            }
            let expected = model.iter().flatten().min();
            let found = timers
                .heap
                .first()
                .map(|entry| (entry.at.as_nanos(), entry.sequence));
            assert_eq!(found.as_ref(), expected);
        }
    }

    #[test]
    fn a_timer_set_to_never_is_not_in_the_heap() {
        let mut timers = Timers::default();
        let timer = timers.add();
        timers.arm(timer, at(5));
        timers.arm(timer, Time::MAX);
        assert_eq!(timers.next(), None);
    }
}
