//! The position in a schedule.

use crate::{Time, profile::Phase};

#[derive(Debug)]
pub(crate) struct PhaseCursor {
    phases: Vec<Phase>,
    /// Number of phases that have started; at least one.
    started: usize,
}

impl PhaseCursor {
    /// `phases` are in order of time, and the first holds from the start.
    pub(crate) fn new(phases: &[Phase]) -> Self {
        debug_assert!(!phases.is_empty(), "something always holds");
        Self {
            phases: phases.to_vec(),
            started: 1,
        }
    }

    pub(crate) fn current(&self) -> &Phase {
        &self.phases[self.started - 1]
    }

    /// Returns the time at which the next phase starts.
    pub(crate) fn next_change(&self) -> Option<Time> {
        let next = self.phases.get(self.started)?;
        Some(Time::from_nanos(next.from_ns))
    }

    /// Starts the next phase.
    pub(crate) fn change(&mut self) -> &Phase {
        // The last phase holds for ever.
        self.started = (self.started + 1).min(self.phases.len());
        self.current()
    }
}
