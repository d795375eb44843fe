//! Bytes delivered to the peer, by its acknowledgements.
//!
//! Bytes that were only written may wait in a buffer of many megabytes: they are neither
//! progress to show nor proof that the transfer is alive.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use lftp_transport::{FlowId, Observer, Runtime, Stream, Time, Timer, TraceEvent};

use super::progress::Progress;
use super::watchdog::Stalled;

/// Interval between two looks at the delivered bytes.
const TICK: Duration = Duration::from_millis(200);

/// Counts the acknowledged bytes of the connections that have a meter, and passes every event on.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    next: Option<Arc<dyn Observer>>,
    bytes: Mutex<BTreeMap<FlowId, u64>>,
}

impl Delivered {
    pub(crate) fn new(next: Option<Arc<dyn Observer>>) -> Arc<Self> {
        Arc::new(Self {
            next,
            bytes: Mutex::default(),
        })
    }

    fn bytes(&self) -> MutexGuard<'_, BTreeMap<FlowId, u64>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Delivered {
    fn observe(&self, now: Time, flow: FlowId, event: &TraceEvent) {
        if let TraceEvent::MetricsUpdated(metrics) = event
            && let Some(bytes) = self.bytes().get_mut(&flow)
        {
            *bytes = metrics.delivered_bytes.max(*bytes);
        }
        if let Some(next) = &self.next {
            next.observe(now, flow, event);
        }
    }
}

/// Measures one sender: reports its progress and detects a stall.
pub(crate) struct SendMeter<'a> {
    runtime: &'a Arc<dyn Runtime>,
    delivered: &'a Delivered,
    flow: Option<FlowId>,
    progress: &'a dyn Progress,
    total_bytes: u64,
    /// Bytes that the receiver held before this connection.
    earlier_bytes: u64,
    last_bytes: u64,
    last_change: Time,
    timer: Pin<Box<dyn Timer>>,
}

impl<'a> SendMeter<'a> {
    pub(crate) fn new(
        runtime: &'a Arc<dyn Runtime>,
        delivered: &'a Delivered,
        stream: &Stream,
        progress: &'a dyn Progress,
        total_bytes: u64,
    ) -> Self {
        let flow = stream.flow();
        if let Some(flow) = flow {
            delivered.bytes().insert(flow, 0);
        }
        let now = runtime.now();
        Self {
            runtime,
            delivered,
            flow,
            progress,
            total_bytes,
            earlier_bytes: 0,
            last_bytes: 0,
            last_change: now,
            timer: runtime.timer(now + TICK),
        }
    }

    /// Sets the offset at which this connection continues the file.
    pub(crate) const fn begin_at(&mut self, bytes: u64) {
        self.earlier_bytes = bytes;
    }

    /// Runs a part of the transfer, unless nothing is delivered for longer than `limit`.
    pub(crate) async fn follow<F: Future>(
        &mut self,
        limit: Duration,
        part: F,
    ) -> Result<F::Output, Stalled> {
        let mut part = pin!(part);
        self.last_change = self.runtime.now();
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = part.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            while self.timer.as_mut().poll_fire(cx).is_ready() {
                let now = self.runtime.now();
                self.update(now);
                if now.saturating_since(self.last_change) > limit {
                    return Poll::Ready(Err(Stalled));
                }
                self.timer.as_mut().reset(now + TICK);
            }
            Poll::Pending
        })
        .await
    }

    fn update(&mut self, now: Time) {
        let bytes = self
            .flow
            .and_then(|flow| self.delivered.bytes().get(&flow).copied());
        let bytes = bytes.unwrap_or(0);
        if bytes > self.last_bytes {
            self.last_bytes = bytes;
            self.last_change = now;
            let bytes = bytes.saturating_add(self.earlier_bytes);
            self.progress.at(bytes.min(self.total_bytes));
        }
    }

    /// Reports that everything has been delivered.
    pub(crate) fn done(&self) {
        self.progress.at(self.total_bytes);
    }
}

impl Drop for SendMeter<'_> {
    fn drop(&mut self) {
        if let Some(flow) = self.flow {
            self.delivered.bytes().remove(&flow);
        }
    }
}
