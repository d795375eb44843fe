//! The server's tasks: how many there are, and when they are to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use lftp_transport::{BoxFuture, Runtime};
use tokio::sync::Notify;

/// How far the end of a server is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    Serving,
    /// Nothing new is begun; what was begun goes on.
    Draining,
    /// Everything ends now.
    Stopped,
}

/// Keeps count. A clone is another handle on the same tasks.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stage: AtomicU8,
    running: AtomicUsize,
    changed: Notify,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        let shared = Shared {
            stage: AtomicU8::new(Stage::Serving as u8),
            running: AtomicUsize::new(0),
            changed: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Runs a task that is waited for.
    pub(crate) fn spawn(&self, runtime: &dyn Runtime, task: BoxFuture<()>) {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(&self.shared));
        runtime.spawn(Box::pin(async move {
            let _running = running;
            task.await;
        }));
    }

    /// Goes on to a later stage.
    pub(crate) fn advance(&self, stage: Stage) {
        self.shared.stage.fetch_max(stage as u8, Ordering::SeqCst);
        self.shared.changed.notify_waiters();
    }

    pub(crate) fn is_at(&self, stage: Stage) -> bool {
        self.shared.stage.load(Ordering::SeqCst) >= stage as u8
    }

    /// Waits for a stage.
    pub(crate) async fn reached(&self, stage: Stage) {
        self.until(|| self.is_at(stage)).await;
    }

    /// Waits for the end of every task.
    pub(crate) async fn ended(&self) {
        self.until(|| self.shared.running.load(Ordering::SeqCst) == 0)
            .await;
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            if is_so() {
                return;
            }
            changed.await;
        }
    }
}

struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}
