//! The next deadline of every connection and handshake, in order.

use std::collections::{BTreeMap, BTreeSet};

use crate::Time;

/// At most one deadline an id.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    by_time: BTreeSet<(Time, u32)>,
    by_id: BTreeMap<u32, Time>,
}

impl Deadlines {
    /// Sets the deadline of `id`, or removes it.
    pub(super) fn set(&mut self, id: u32, at: Option<Time>) {
        let before = match at {
            Some(at) => self.by_id.insert(id, at),
            None => self.by_id.remove(&id),
        };
        // Most packets leave a connection's deadline as it was.
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.by_time.remove(&(before, id));
        }
        if let Some(at) = at {
            self.by_time.insert((at, id));
        }
    }

    /// Sets the deadline of `id` unless it has one.
    pub(super) fn set_if_none(&mut self, id: u32, at: Time) {
        if !self.by_id.contains_key(&id) {
            self.set(id, Some(at));
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Time> {
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Takes an id whose deadline has passed, earliest first.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<u32> {
        let &(at, id) = self.by_time.first()?;
        if at > now {
            return None;
        }
        self.set(id, None);
        Some(id)
    }
}
