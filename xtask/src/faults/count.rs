//! Counters of the injected faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counters by name, shared by all tasks of a run. A clone counts into the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count(Arc<Mutex<Counts>>);

/// The counts, by event.
pub(crate) type Counts = BTreeMap<String, u64>;

impl Count {
    /// Adds one to a counter.
    pub(crate) fn one(&self, event: &str) {
        self.add(event, 1);
    }

    /// Adds to a counter.
    pub(crate) fn add(&self, event: &str, many: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(event) {
            Some(count) => *count += many,
            None => drop(counts.insert(event.to_owned(), many)),
        }
    }

    /// Returns all counters.
    pub(crate) fn get(&self) -> Counts {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
