//! The run loop: all ready tasks run, then the clock jumps to the next event.

use std::{future::Future, pin::pin, task::Poll};

use super::{World, executor::Turn, lock};
use crate::Time;

/// A run that ended before what it waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// No task is ready and no event is left.
    #[error("deadlock at {at:?}: no task is ready, no packet in flight, no timer set")]
    Deadlock {
        /// The time at which it ended.
        at: Time,
    },
    /// The next event lies beyond the limit on virtual time.
    #[error("the limit on virtual time, {limit:?}, is reached")]
    TimeLimit {
        /// The limit.
        limit: Time,
    },
    /// Tasks keep waking each other and time stands still.
    #[error("livelock: time stands still at {at:?} after {turns} turns of tasks")]
    Livelock {
        /// The time at which it ended.
        at: Time,
        /// Polls and events at this instant.
        turns: u64,
    },
}

/// Polls and events at one instant after which the run is a livelock.
const TURNS_MAX: u64 = 10_000_000;

/// The outcome of [`World::advance`].
enum Step {
    Fired,
    /// The next event is past the horizon.
    Beyond,
    /// There is no next event.
    Nothing,
}

impl World {
    /// Runs the world until `future` is done.
    ///
    /// The future runs beside all tasks and takes its turn like one. Tasks that are not done when
    /// it is resume in the next run.
    ///
    /// # Errors
    /// [`WorldError`] when the future can never be done, or not before the time limit; it is
    /// dropped.
    ///
    /// # Panics
    /// When the future or a task does.
    pub fn block_on<F: Future>(&mut self, future: F) -> Result<F::Output, WorldError> {
        let mut future = pin!(future);
        let main = self.executor.start_main();
        let result = loop {
            match self.executor.turn() {
                Turn::Main => {
                    if let Poll::Ready(output) = main.poll(future.as_mut()) {
                        break Ok(output);
                    }
                }
                Turn::Polled => {}
                // The clock moves only when nothing is ready: computing takes no virtual time.
                Turn::Idle => match self.advance(self.time_limit) {
                    Step::Fired => {}
                    Step::Beyond => break Err(self.reach_limit()),
                    Step::Nothing => break Err(WorldError::Deadlock { at: self.now() }),
                },
            }
            if let Err(livelock) = self.count_turn() {
                break Err(livelock);
            }
        };
        self.executor.end_main();
        result
    }

    /// Runs the world up to and including `until`; the clock then shows `until`.
    ///
    /// # Errors
    /// [`WorldError::TimeLimit`] when the limit is earlier, [`WorldError::Livelock`].
    ///
    /// # Panics
    /// When a task does.
    pub fn run_until(&mut self, until: Time) -> Result<(), WorldError> {
        let horizon = until.min(self.time_limit);
        while !matches!(
            self.run_ready_and_advance(horizon)?,
            Step::Beyond | Step::Nothing
        ) {}
        // The limit was in the way: an error, since the caller's time was not reached.
        if horizon < until {
            return Err(self.reach_limit());
        }
        self.set_now(until.max(self.now()));
        Ok(())
    }

    /// Runs the world until no event is left, and returns the time of the last one. Tasks may still
    /// wait for what never comes.
    ///
    /// # Errors
    /// [`WorldError::TimeLimit`], [`WorldError::Livelock`].
    ///
    /// # Panics
    /// When a task does.
    pub fn run_until_idle(&mut self) -> Result<Time, WorldError> {
        loop {
            match self.run_ready_and_advance(self.time_limit)? {
                Step::Fired => {}
                Step::Beyond => return Err(self.reach_limit()),
                Step::Nothing => return Ok(self.now()),
            }
        }
    }

    fn run_ready_and_advance(&mut self, horizon: Time) -> Result<Step, WorldError> {
        // `Turn::Main` cannot come: no future of `block_on` is alive between its runs.
        while self.executor.turn() != Turn::Idle {
            self.count_turn()?;
        }
        let step = self.advance(horizon);
        self.count_turn()?;
        Ok(step)
    }

    /// Moves the clock to the next event and lets all happen that is due then: packets first,
    /// then timers.
    fn advance(&mut self, horizon: Time) -> Step {
        // Both locks, network first: handles that need both take them in this order.
        let mut network = lock(&self.shared.network);
        let mut timers = lock(&self.shared.timers);
        let Some(next) = network.next_event().into_iter().chain(timers.next()).min() else {
            return Step::Nothing;
        };
        if next > horizon {
            return Step::Beyond;
        }
        let now = self.shared.now();
        // An event may lie in the past, such as a timer reset to a time before now: it fires at
        // once, and the clock stays.
        if next > now {
            self.shared.set_now(next);
            self.turns = 0;
        }
        let now = next.max(now);
        network.deliver_due(now, &mut self.wakers);
        timers.fire(now, &mut self.wakers);
        drop(timers);
        drop(network);
        // Wakers are foreign code, which may call a handle: only without the locks.
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
        Step::Fired
    }

    fn count_turn(&mut self) -> Result<(), WorldError> {
        // Counted at one instant, not over the run: long runs are no livelock.
        self.turns += 1;
        if self.turns < TURNS_MAX {
            return Ok(());
        }
        let turns = self.turns;
        self.turns = 0;
        Err(WorldError::Livelock {
            at: self.now(),
            turns,
        })
    }

    fn reach_limit(&mut self) -> WorldError {
        let limit = self.time_limit;
        self.set_now(limit.max(self.now()));
        WorldError::TimeLimit { limit }
    }

    fn set_now(&mut self, now: Time) {
        if now > self.now() {
            self.turns = 0;
        }
        self.shared.set_now(now);
    }
}
