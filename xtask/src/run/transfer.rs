//! The transfers of a run. Nothing here knows which clock it is on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use lftp_ftp::{Client, ClientConfig, MemStore, Name, Progress, Store, Target};
use lftp_transport::{Runtime, Time, sleep, timeout};

use super::Plan;
use super::arrival::Witness;
use crate::record::{SenderLog, Timing};
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

/// Where a transfer takes place, as its clock has it.
pub(super) struct Place {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) server: SocketAddr,
    /// Where the client puts what it gets.
    pub(super) client_store: Arc<dyn Store>,
    /// Who says whether the file arrived.
    pub(super) witness: Arc<dyn Witness>,
}

/// One transfer: a client of its own, and a file.
pub(super) struct Job {
    place: Place,
    pub(super) config: ClientConfig,
    way: Way,
    index: usize,
    start: Duration,
    limit: Duration,
    contents: Bytes,
    steps: Arc<Steps>,
}

/// What the file of a transfer is called.
pub(super) fn file_name(index: usize) -> Name {
    Name::parse(&format!("flow-{index}.bin")).expect("an ordinary name")
}

impl Job {
    /// The plan's flow of that index, with its file.
    pub(super) fn new(
        plan: &Plan,
        (index, contents): (usize, Bytes),
        senders: &SenderLog,
        steps: &Arc<Steps>,
        place: Place,
    ) -> Self {
        let scenario = &plan.scenario;
        let flow = &scenario.flows()[index];
        let way = scenario.transfer.way;
        let mut config = ClientConfig::default();
        config.transport = scenario.transport_of(flow);
        config.transfers_at_once = true;
        if way == Way::Put {
            config.transport.observer = Some(senders.tap_of(index));
        }
        steps.expect(contents.len() as u64);
        Self {
            place,
            config,
            way,
            index,
            start: Duration::from_nanos(flow.start.0),
            limit: Duration::from_nanos(scenario.limits.time.0),
            contents,
            steps: Arc::clone(steps),
        }
    }

    /// Carries the file and compares what arrived with what was sent.
    pub(super) async fn run(self) -> Timing {
        let runtime = &*self.place.runtime;
        sleep(runtime, self.start).await;
        let begun = runtime.now();
        let carried = timeout(runtime, self.limit, self.carry()).await;
        let (failure, ended) = match carried {
            Ok(Ok(ended)) => (None, ended),
            Ok(Err(failure)) => (Some(failure), runtime.now()),
            Err(_) => {
                let limit = self.limit.as_secs_f64();
                let failure = format!("not finished within {limit} s");
                (Some(failure), runtime.now())
            }
        };
        Timing {
            begun_ns: begun.as_nanos(),
            ended_ns: ended.as_nanos(),
            bytes: self.contents.len() as u64,
            intact: failure.is_none()
                && self
                    .place
                    .witness
                    .has(&file_name(self.index), &self.contents),
            failure,
        }
    }

    async fn carry(&self) -> Result<Time, String> {
        let words = |error: &dyn std::error::Error| error.to_string();
        let place = &self.place;
        let runtime = Arc::clone(&place.runtime);
        let mut client = Client::connect(runtime, place.server, self.config.clone())
            .await
            .map_err(|error| words(&error))?;
        let name = file_name(self.index);
        let share = Share {
            steps: Arc::clone(&self.steps),
            at: AtomicU64::new(0),
        };
        let asked = place.runtime.now();
        let receipt = match self.way {
            Way::Put => {
                let source = MemStore::source(self.contents.clone());
                client.put(source, name.as_str(), true, &share).await
            }
            Way::Get => {
                let target = Target {
                    store: &place.client_store,
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
