//! Bytes delivered to the peer, by its acknowledgements.
//!
//! Bytes that were only written may wait in a buffer of many megabytes: they are neither
//! progress to show nor proof that the transfer is alive.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use lftp_transport::{Runtime, Stream, StreamMonitor, Time, Timer};

use super::message_reader::MessageReader;
use super::progress::Progress;
use super::watchdog::Stalled;

/// Interval between two looks at the delivered bytes.
const TICK: Duration = Duration::from_millis(200);

/// Measures one sender: reports its progress and detects a stall.
pub(crate) struct SendMeter<'a> {
    runtime: &'a Arc<dyn Runtime>,
    connection: StreamMonitor,
    progress: &'a dyn Progress,
    total_bytes: u64,
    /// Bytes that the receiver held before this connection.
    earlier_bytes: u64,
    last_bytes: u64,
    /// Held blocks that the receiver has read again, as it says.
    checked: Arc<AtomicU64>,
    last_checked: u64,
    last_change: Time,
    timer: Pin<Box<dyn Timer>>,
}

impl<'a> SendMeter<'a> {
    pub(crate) fn new(
        runtime: &'a Arc<dyn Runtime>,
        stream: &Stream,
        progress: &'a dyn Progress,
        total_bytes: u64,
    ) -> Self {
        let now = runtime.now();
        Self {
            runtime,
            connection: stream.monitor(),
            progress,
            total_bytes,
            earlier_bytes: 0,
            last_bytes: 0,
            checked: Arc::default(),
            last_checked: 0,
            last_change: now,
            timer: runtime.timer(now + TICK),
        }
    }

    /// Sets the offset at which this connection continues the file.
    pub(crate) const fn begin_at(&mut self, bytes: u64) {
        self.earlier_bytes = bytes;
    }

    /// Counts the receiver's report that it is still reading as progress.
    pub(crate) fn count_checked(&mut self, messages: &MessageReader<'_>) {
        self.checked = messages.checked();
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
            // The part first: what is done has not stalled.
            if let Poll::Ready(output) = part.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            while self.timer.as_mut().poll_fire(cx).is_ready() {
                let now = self.runtime.now();
                self.update(now);
                // By the clock, not by counting ticks: after a suspended process the first tick
                // comes late.
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
        let bytes = self.connection.stats().delivered_bytes;
        if bytes > self.last_bytes {
            self.last_bytes = bytes;
            self.last_change = now;
            let bytes = bytes.saturating_add(self.earlier_bytes);
            // Hashes and messages are among the delivered bytes: they may exceed the file's.
            self.progress.at(bytes.min(self.total_bytes));
        }
        let checked = self.checked.load(Ordering::Relaxed);
        if checked > self.last_checked {
            // Reading again is progress of the transfer, though it delivers no byte.
            self.last_checked = checked;
            self.last_change = now;
        }
    }

    /// Reports that everything has been delivered.
    pub(crate) fn done(&self) {
        self.progress.at(self.total_bytes);
    }
}
