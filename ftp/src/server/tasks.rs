//! The server's tasks: their number, and the stage of the server's end that they react to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use lftp_transport::{BoxFuture, Runtime};
use tokio::sync::Notify;

/// Stage of a server's end.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    Serving,
    /// Nothing new is started; transfers in progress continue.
    Draining,
    /// Everything ends at once.
    Stopped,
}

/// The tasks of one server. A clone is another handle on the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stage: AtomicU8,
    running: AtomicUsize,
    advanced: Notify,
    /// Notified when no task is left, and not at the end of each: all of them wait for a stage,
    /// and every one would be woken by the end of every other.
    idle: Notify,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        let shared = Shared {
            stage: AtomicU8::new(Stage::Serving as u8),
            running: AtomicUsize::new(0),
            advanced: Notify::new(),
            idle: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Spawns a task that [`ended`](Self::ended) waits for.
    pub(crate) fn spawn(&self, runtime: &dyn Runtime, task: BoxFuture<()>) {
        let running = self.start();
        runtime.spawn(Box::pin(async move {
            let _running = running;
            task.await;
        }));
    }

    fn start(&self) -> Running {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        Running(Arc::clone(&self.shared))
    }

    /// Advances to a later stage; an earlier one has no effect.
    pub(crate) fn advance(&self, stage: Stage) {
        self.shared.stage.fetch_max(stage as u8, Ordering::SeqCst);
        self.shared.advanced.notify_waiters();
    }

    pub(crate) fn is_at(&self, stage: Stage) -> bool {
        self.shared.stage.load(Ordering::SeqCst) >= stage as u8
    }

    /// Waits for a stage.
    pub(crate) async fn reached(&self, stage: Stage) {
        until(&self.shared.advanced, || self.is_at(stage)).await;
    }

    /// Waits for the end of every task.
    pub(crate) async fn ended(&self) {
        let none = || self.shared.running.load(Ordering::SeqCst) == 0;
        until(&self.shared.idle, none).await;
    }
}

/// Waits until something is so; `changed` notifies its waiters after each change.
pub(super) async fn until(changed: &Notify, is_so: impl Fn() -> bool) {
    loop {
        let mut changed = std::pin::pin!(changed.notified());
        // Registered before the check: a change in between must not be missed.
        changed.as_mut().enable();
        if is_so() {
            return;
        }
        changed.await;
    }
}

struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Wake};

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Wakes {
        fn count(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn the_end_of_a_task_wakes_only_the_waiter_for_the_last() {
        let tasks = Tasks::new();
        let (first, last) = (tasks.start(), tasks.start());
        let (at_stage, at_end) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        let mut stopped = std::pin::pin!(tasks.reached(Stage::Stopped));
        let mut ended = std::pin::pin!(tasks.ended());
        let (stage_waker, end_waker) = (Arc::clone(&at_stage).into(), Arc::clone(&at_end).into());
        let mut poll_stopped = || {
            stopped
                .as_mut()
                .poll(&mut Context::from_waker(&stage_waker))
        };
        let mut poll_ended = || ended.as_mut().poll(&mut Context::from_waker(&end_waker));
        assert!(poll_stopped().is_pending() && poll_ended().is_pending());

        drop(first);
        assert_eq!((at_stage.count(), at_end.count()), (0, 0));
        drop(last);
        assert_eq!((at_stage.count(), at_end.count()), (0, 1));
        assert!(poll_ended().is_ready());

        tasks.advance(Stage::Draining);
        assert_eq!(at_stage.count(), 1);
        assert!(poll_stopped().is_pending());
        tasks.advance(Stage::Stopped);
        assert!(poll_stopped().is_ready());
    }
}
