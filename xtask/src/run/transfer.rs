//! The transfers of a run. Nothing here knows which clock it is on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use lftp_ftp::{Client, ClientConfig, MemStore, Name, Progress, Store, Target};
use lftp_transport::{Runtime, Time, sleep, timeout};

use super::arrival::Witness;
use crate::record::Timing;
use crate::scenario::Way;

/// How far a run is, for whoever wants to show it.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    total: AtomicU64,
    done: AtomicU64,
}

impl Steps {
    /// Bytes that have arrived, and all that are to.
    pub(crate) fn get(&self) -> (u64, u64) {
        (
            self.done.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        )
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The part of one transfer.
struct Share {
    steps: Arc<Steps>,
    at: AtomicU64,
}

impl Progress for Share {
    fn begin(&self, _: u64) {}

    fn at(&self, bytes: u64) {
        let before = self.at.fetch_max(bytes, Ordering::Relaxed);
        self.steps
            .done
            .fetch_add(bytes.saturating_sub(before), Ordering::Relaxed);
    }
}

/// One transfer: a client of its own, and a file.
pub(super) struct Job {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) server: SocketAddr,
    pub(super) config: ClientConfig,
    pub(super) way: Way,
    pub(super) index: usize,
    pub(super) start: Duration,
    pub(super) limit: Duration,
    pub(super) contents: Bytes,
    /// Where the client puts what it gets.
    pub(super) client_store: Arc<dyn Store>,
    /// Who says whether the file arrived.
    pub(super) witness: Arc<dyn Witness>,
    pub(super) steps: Arc<Steps>,
}

/// What the file of a transfer is called.
pub(super) fn file_name(index: usize) -> Name {
    Name::parse(&format!("flow-{index}.bin")).expect("an ordinary name")
}

impl Job {
    /// Carries the file and compares what arrived with what was sent.
    pub(super) async fn run(self) -> Timing {
        sleep(&*self.runtime, self.start).await;
        let begun = self.runtime.now();
        let carried = timeout(&*self.runtime, self.limit, self.carry()).await;
        let (failure, ended) = match carried {
            Ok(Ok(ended)) => (None, ended),
            Ok(Err(failure)) => (Some(failure), self.runtime.now()),
            Err(_) => {
                let limit = self.limit.as_secs_f64();
                (
                    Some(format!("not finished within {limit} s")),
                    self.runtime.now(),
                )
            }
        };
        Timing {
            begun_ns: begun.as_nanos(),
            ended_ns: ended.as_nanos(),
            bytes: self.contents.len() as u64,
            intact: failure.is_none() && self.witness.has(&file_name(self.index), &self.contents),
            failure,
        }
    }

    async fn carry(&self) -> Result<Time, String> {
        let words = |error: &dyn std::error::Error| error.to_string();
        let runtime = Arc::clone(&self.runtime);
        let mut client = Client::connect(runtime, self.server, self.config.clone())
            .await
            .map_err(|error| words(&error))?;
        let name = file_name(self.index);
        let share = Share {
            steps: Arc::clone(&self.steps),
            at: AtomicU64::new(0),
        };
        let asked = self.runtime.now();
        let receipt = match self.way {
            Way::Put => {
                let source = MemStore::source(self.contents.clone());
                client.put(source, name.as_str(), true, &share).await
            }
            Way::Get => {
                let target = Target {
                    store: &self.client_store,
                    name: &name,
                    overwrite: true,
                };
                client.get(name.as_str(), target, &share).await
            }
        }
        .map_err(|error| words(&error))?;
        share.at(self.contents.len() as u64);
        client.close().await;
        // The receiver's word counts, not the farewell after it.
        Ok(asked + Duration::from_nanos(receipt.duration_ns))
    }
}
