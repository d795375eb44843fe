//! Which phase of the scenario holds.

use crate::{Time, profile::Phase};

#[derive(Debug)]
pub(crate) struct Schedule {
    phases: Vec<Phase>,
    /// How many have begun; at least one.
    begun: usize,
}

impl Schedule {
    /// `phases` are in order of time, and the first holds from the start.
    pub(crate) fn new(phases: &[Phase]) -> Self {
        debug_assert!(!phases.is_empty(), "something always holds");
        Self {
            phases: phases.to_vec(),
            begun: 1,
        }
    }

    pub(crate) fn current(&self) -> &Phase {
        &self.phases[self.begun - 1]
    }

    /// When the next phase begins.
    pub(crate) fn next_change(&self) -> Option<Time> {
        let next = self.phases.get(self.begun)?;
        Some(Time::from_nanos(next.from_ns))
    }

    /// Begins the next phase.
    pub(crate) fn change(&mut self) -> &Phase {
        self.begun = (self.begun + 1).min(self.phases.len());
        self.current()
    }
}
