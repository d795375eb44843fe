//! Resumable files that are being received: one transfer of each at a time.
//!
//! A client that was killed, or lost its path to the server, reconnects before the server has
//! noticed. The newer transfer then gets the file, and the older one, which has lost its client, ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lftp_transport::{Runtime, timeout};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::guarded_sink::{GuardedSink, SinkGuard};
use crate::store::{Sink, StoreError, Stored};

/// How long a preempted transfer may take to end: a piece may still be being written.
const MAX_RELEASE: Duration = Duration::from_secs(5);

/// The uploads in progress, by key. A clone is another handle on the same locks.
#[derive(Clone, Debug, Default)]
pub(super) struct UploadLocks {
    held: Arc<Mutex<BTreeMap<String, Arc<Signals>>>>,
}

#[derive(Debug, Default)]
struct Signals {
    preempted: Notify,
    released: Notify,
}

/// The right to receive one file, until it is dropped.
#[derive(Debug)]
pub(super) struct UploadLock {
    locks: UploadLocks,
    key: String,
    signals: Arc<Signals>,
}

/// Tells a transfer that a newer one wants its file.
#[derive(Clone, Debug, Default)]
pub(super) struct Preemption(Option<Arc<Signals>>);

impl UploadLocks {
    /// Takes the lock, preempting the transfer that holds it; `None` when that takes too long.
    pub(super) async fn acquire(&self, runtime: &dyn Runtime, key: &str) -> Option<UploadLock> {
        let acquired = timeout(runtime, MAX_RELEASE, async {
            loop {
                let holder = match self.try_acquire(key) {
                    Ok(lock) => return lock,
                    Err(holder) => holder,
                };
                holder.preempted.notify_one();
                let mut released = std::pin::pin!(holder.released.notified());
                released.as_mut().enable();
                // The holder may have gone between the try and the registration above, and then
                // it notifies no one.
                let is_held = self
                    .held
                    .lock()
                    .get(key)
                    .is_some_and(|now| Arc::ptr_eq(now, &holder));
                if is_held {
                    released.await;
                }
            }
        });
        acquired.await.ok()
    }

    fn try_acquire(&self, key: &str) -> Result<UploadLock, Arc<Signals>> {
        let mut held = self.held.lock();
        if let Some(holder) = held.get(key) {
            return Err(Arc::clone(holder));
        }
        let signals = Arc::new(Signals::default());
        held.insert(key.to_owned(), Arc::clone(&signals));
        Ok(UploadLock {
            locks: self.clone(),
            key: key.to_owned(),
            signals,
        })
    }
}

impl UploadLock {
    pub(super) fn preemption(&self) -> Preemption {
        Preemption(Some(Arc::clone(&self.signals)))
    }

    /// Holds the lock for as long as the sink exists, whatever thread it is on.
    pub(super) fn guard(self, sink: Box<dyn Sink>) -> Box<dyn Sink> {
        GuardedSink::boxed(sink, self)
    }
}

/// The lock matters by its existence alone.
impl SinkGuard for UploadLock {
    fn before_write(&mut self, _: u64) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(&mut self, sink: Box<dyn Sink>) -> Result<Stored, StoreError> {
        sink.commit()
    }

    fn discard(&mut self, sink: Box<dyn Sink>) {
        sink.discard();
    }

    fn interrupt(&mut self, sink: Box<dyn Sink>) {
        drop(sink);
    }
}

impl Drop for UploadLock {
    fn drop(&mut self) {
        self.locks.held.lock().remove(&self.key);
        self.signals.released.notify_waiters();
    }
}

impl Preemption {
    /// Waits until a newer transfer wants the file; forever where nothing can be preempted.
    pub(super) async fn preempted(&self) {
        match &self.0 {
            Some(signals) => signals.preempted.notified().await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use lftp_transport::TokioRuntime;

    use super::*;

    #[tokio::test]
    async fn the_newer_transfer_waits_for_the_end_of_the_one_before() {
        let runtime: Arc<dyn Runtime> = TokioRuntime::new();
        let locks = UploadLocks::default();
        let first = locks.acquire(&*runtime, "a").await.unwrap();
        let preemption = first.preemption();
        let other = locks.acquire(&*runtime, "b").await.unwrap();
        let second = locks.acquire(&*runtime, "a");
        let end = async {
            preemption.preempted().await;
            drop(first);
        };
        let (second, ()) = tokio::join!(second, end);
        assert!(second.is_some());
        drop((second, other));
        assert!(locks.held.lock().is_empty());
    }
}
