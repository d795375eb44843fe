//! Files that are being received and could be gone on with: one transfer of each at a time.
//!
//! A client that was killed, or lost its way here, comes again before this side has missed it.
//! The newcomer has the file then, and the transfer that waits for nobody ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lftp_transport::{Runtime, timeout};
use tokio::sync::Notify;

use crate::protocol::Attributes;
use crate::protocol::blocks::BlockHash;
use crate::store::{Sink, StoreError};

/// How long the end of a transfer may take that is superseded: a piece may still be written.
const LONGEST_END: Duration = Duration::from_secs(5);

/// Who receives what. A clone is another handle on the same receptions.
#[derive(Clone, Debug, Default)]
pub(super) struct Receptions {
    running: Arc<Mutex<BTreeMap<String, Arc<Signals>>>>,
}

#[derive(Debug, Default)]
struct Signals {
    superseded: Notify,
    ended: Notify,
}

/// The right to receive one file, until it is dropped.
#[derive(Debug)]
pub(super) struct Reception {
    receptions: Receptions,
    key: String,
    signals: Arc<Signals>,
}

/// Tells a transfer that another has its file now.
#[derive(Clone, Debug, Default)]
pub(super) struct Superseded(Option<Arc<Signals>>);

impl Receptions {
    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Signals>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a file over from whoever receives it; `None` when that takes too long.
    pub(super) async fn take_over(&self, runtime: &dyn Runtime, key: &str) -> Option<Reception> {
        let taken = timeout(runtime, LONGEST_END, async {
            loop {
                let earlier = match self.enter(key) {
                    Ok(reception) => return reception,
                    Err(earlier) => earlier,
                };
                earlier.superseded.notify_one();
                let mut ended = std::pin::pin!(earlier.ended.notified());
                ended.as_mut().enable();
                if self
                    .running()
                    .get(key)
                    .is_some_and(|now| Arc::ptr_eq(now, &earlier))
                {
                    ended.await;
                }
            }
        });
        taken.await.ok()
    }

    fn enter(&self, key: &str) -> Result<Reception, Arc<Signals>> {
        let mut running = self.running();
        if let Some(earlier) = running.get(key) {
            return Err(Arc::clone(earlier));
        }
        let signals = Arc::new(Signals::default());
        running.insert(key.to_owned(), Arc::clone(&signals));
        Ok(Reception {
            receptions: self.clone(),
            key: key.to_owned(),
            signals,
        })
    }
}

impl Reception {
    pub(super) fn superseded(&self) -> Superseded {
        Superseded(Some(Arc::clone(&self.signals)))
    }

    /// Holds the right for as long as the sink is there, wherever it is at work.
    pub(super) fn hold(self, sink: Box<dyn Sink>) -> Box<dyn Sink> {
        Box::new(HeldSink { sink, _held: self })
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        self.receptions.running().remove(&self.key);
        self.signals.ended.notify_waiters();
    }
}

impl Superseded {
    /// Waits until another transfer has the file.
    pub(super) async fn wait(&self) {
        match &self.0 {
            Some(signals) => signals.superseded.notified().await,
            None => std::future::pending().await,
        }
    }
}

/// The sink goes first: the newcomer finds it closed.
#[derive(Debug)]
struct HeldSink {
    sink: Box<dyn Sink>,
    _held: Reception,
}

impl Sink for HeldSink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.sink.write(bytes)
    }

    fn verified(&mut self, hash: BlockHash) -> Result<(), StoreError> {
        self.sink.verified(hash)
    }

    fn set_attributes(&mut self, attributes: Attributes) -> Result<(), StoreError> {
        self.sink.set_attributes(attributes)
    }

    fn settled(&mut self) {
        self.sink.settled();
    }

    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        self.sink.flush()
    }

    fn discard(self: Box<Self>) {
        let Self { sink, _held } = *self;
        sink.discard();
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { sink, _held } = *self;
        sink.commit()
    }
}

#[cfg(test)]
mod tests {
    use lftp_transport::TokioRuntime;

    use super::*;

    #[tokio::test]
    async fn the_newcomer_waits_for_the_end_of_the_one_before() {
        let runtime: Arc<dyn Runtime> = TokioRuntime::new();
        let receptions = Receptions::default();
        let first = receptions.take_over(&*runtime, "a").await.unwrap();
        let superseded = first.superseded();
        let other = receptions.take_over(&*runtime, "b").await.unwrap();
        let second = receptions.take_over(&*runtime, "a");
        let end = async {
            superseded.wait().await;
            drop(first);
        };
        let (second, ()) = tokio::join!(second, end);
        assert!(second.is_some());
        drop((second, other));
        assert!(receptions.running().is_empty());
    }
}
