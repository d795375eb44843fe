//! The transfers of a run, on either clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use lftp_ftp::{Client, ClientConfig, MemStore, Name, Progress, Store, Target};
use lftp_transport::{Runtime, Time, sleep, timeout};

use super::Plan;
use super::integrity::IntegrityCheck;
use crate::record::{SenderLog, Timing};
use crate::scenario::Operation;

/// Progress of a run, for a progress bar.
#[derive(Debug, Default)]
pub(crate) struct RunProgress {
    total: AtomicU64,
    done: AtomicU64,
}

impl RunProgress {
    /// Returns the bytes that have arrived and the total.
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

/// Progress of one transfer.
struct FlowProgress {
    run: Arc<RunProgress>,
    at: AtomicU64,
}

impl Progress for FlowProgress {
    fn begin(&self, _: u64) {}

    fn at(&self, bytes: u64) {
        // Only what is beyond the largest report so far: a call may repeat a value.
        let before = self.at.fetch_max(bytes, Ordering::Relaxed);
        self.run
            .done
            .fetch_add(bytes.saturating_sub(before), Ordering::Relaxed);
    }
}

/// The surroundings of a transfer, which depend on the clock.
pub(super) struct TransferContext {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) server: SocketAddr,
    /// The store for files that the client gets.
    pub(super) client_store: Arc<dyn Store>,
    /// The check of the received file.
    pub(super) integrity: Arc<dyn IntegrityCheck>,
}

/// One transfer: a file and a client of its own.
pub(super) struct Transfer {
    context: TransferContext,
    pub(super) config: ClientConfig,
    operation: Operation,
    index: usize,
    start: Duration,
    limit: Duration,
    contents: Bytes,
    progress: Arc<RunProgress>,
}

/// The name of the file of a transfer.
pub(super) fn file_name(index: usize) -> Name {
    Name::parse(&format!("flow-{index}.bin")).expect("an ordinary name")
}

impl Transfer {
    /// The transfer of the plan's flow of that index.
    pub(super) fn new(
        plan: &Plan,
        (index, contents): (usize, Bytes),
        senders: &SenderLog,
        progress: &Arc<RunProgress>,
        context: TransferContext,
    ) -> Self {
        let scenario = &plan.scenario;
        let flow = &scenario.flows()[index];
        let operation = scenario.transfer.operation;
        let mut config = ClientConfig::default();
        config.transport = scenario.transport_of(flow);
        // The first request is always a transfer, as of the program's one-shot commands.
        config.connect_data_early = true;
        // As in `Session::server_config`: the side that sends the file is observed.
        if operation == Operation::Put {
            config.transport.observer = Some(senders.tap_of(index));
        }
        progress.expect(contents.len() as u64);
        Self {
            context,
            config,
            operation,
            index,
            start: Duration::from_nanos(flow.start.0),
            limit: Duration::from_nanos(scenario.limits.time.0),
            contents,
            progress: Arc::clone(progress),
        }
    }

    /// Transfers the file and compares what arrived with what was sent.
    pub(super) async fn run(self) -> Timing {
        let runtime = &*self.context.runtime;
        sleep(runtime, self.start).await;
        let started = runtime.now();
        let result = timeout(runtime, self.limit, self.transfer()).await;
        let (failure, ended) = match result {
            Ok(Ok(ended)) => (None, ended),
            Ok(Err(failure)) => (Some(failure), runtime.now()),
            // A result like any other: a scenario may be one that no transport finishes.
            Err(_) => {
                let limit = self.limit.as_secs_f64();
                let failure = format!("not finished within {limit} s");
                (Some(failure), runtime.now())
            }
        };
        Timing {
            started_ns: started.as_nanos(),
            ended_ns: ended.as_nanos(),
            bytes: self.contents.len() as u64,
            intact: failure.is_none()
                && self
                    .context
                    .integrity
                    .matches(&file_name(self.index), &self.contents),
            failure,
        }
    }

    async fn transfer(&self) -> Result<Time, String> {
        let describe = |error: &dyn std::error::Error| error.to_string();
        let context = &self.context;
        let runtime = Arc::clone(&context.runtime);
        let mut client = Client::connect(runtime, context.server, self.config.clone())
            .await
            .map_err(|error| describe(&error))?;
        let name = file_name(self.index);
        let progress = FlowProgress {
            run: Arc::clone(&self.progress),
            at: AtomicU64::new(0),
        };
        let requested = context.runtime.now();
        let receipt = match self.operation {
            Operation::Put => {
                let source = MemStore::source(self.contents.clone());
                client.put(source, name.as_str(), true, &progress).await
            }
            Operation::Get => {
                let target = Target {
                    store: &context.client_store,
                    name: &name,
                    overwrite: true,
                };
                client.get(name.as_str(), target, &progress).await
            }
        }
        .map_err(|error| describe(&error))?;
        // The last report may have been of fewer bytes: what is confirmed has arrived.
        progress.at(self.contents.len() as u64);
        client.close().await;
        // Ends at the receiver's confirmation: closing the connection is not part of the transfer.
        Ok(requested + Duration::from_nanos(receipt.duration_ns))
    }
}
