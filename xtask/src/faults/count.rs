//! How often each thing went wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counters by name, shared by everybody in a run. A clone counts into the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count(Arc<Mutex<Counts>>);

/// What was counted, by what it is.
pub(crate) type Counts = BTreeMap<String, u64>;

impl Count {
    /// One more.
    pub(crate) fn one(&self, what: &str) {
        self.add(what, 1);
    }

    /// So many more.
    pub(crate) fn add(&self, what: &str, many: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(what) {
            Some(count) => *count += many,
            None => drop(counts.insert(what.to_owned(), many)),
        }
    }

    /// All of them.
    pub(crate) fn get(&self) -> Counts {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
