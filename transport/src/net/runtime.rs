//! The driver's interface to its environment: a clock, timers, tasks, sockets, randomness.
//!
//! [`TokioRuntime`](super::TokioRuntime) implements it on the operating system. Any other
//! implementation (`VirtualRuntime` on netem's virtual world, say) runs the same driver, client
//! and server.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;

use crate::{Ecn, Time};

/// A boxed future.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The environment of a driver.
pub trait Runtime: Send + Sync + fmt::Debug + 'static {
    /// The present time; monotonic.
    fn now(&self) -> Time;

    /// A timer that fires at `at`.
    fn timer(&self, at: Time) -> Pin<Box<dyn Timer>>;

    /// Runs a future to completion as a task of its own.
    fn spawn(&self, future: BoxFuture<()>);

    /// Opens a UDP socket. Port 0 takes any free port.
    ///
    /// # Errors
    ///
    /// As the operating system's `bind`.
    fn bind(&self, addr: SocketAddr) -> io::Result<Arc<dyn Socket>>;

    /// Fills `bytes` with randomness: from the operating system in real time, from the seed in
    /// virtual time.
    fn fill_random(&self, bytes: &mut [u8]);

    /// Runs a blocking job (file reads and writes) off the async threads: on a thread pool in
    /// real time, inline in virtual time.
    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<()>;
}

/// A resettable timer.
pub trait Timer: Send + fmt::Debug {
    /// Moves the deadline.
    fn reset(self: Pin<&mut Self>, at: Time);

    /// Ready once the deadline is reached.
    fn poll_fire(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;
}

/// A non-blocking UDP socket. One task at a time waits on it.
pub trait Socket: Send + Sync + fmt::Debug {
    /// The address the socket is bound to.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Receives into an empty `batch`, or waits. After `Ok`, `batch` holds at least one datagram.
    ///
    /// # Errors
    ///
    /// As the operating system's `recvmsg`.
    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>>;

    /// Sends datagrams.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the socket's buffer is full: see
    /// [`poll_writable`](Self::poll_writable). Otherwise as the operating system's `sendmsg`.
    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()>;

    /// Ready when [`try_send`](Self::try_send) is worth another attempt.
    ///
    /// # Errors
    ///
    /// When the socket failed.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// The most segments in one [`Transmit`] (generic segmentation offload); at least 1.
    fn max_segments(&self) -> usize;
}

/// Datagrams to send: one, or several of equal size (generic segmentation offload).
#[derive(Debug)]
pub struct Transmit<'a> {
    /// The destination address.
    pub destination: SocketAddr,
    /// The ECN codepoint; `None` for Not-ECT.
    pub ecn: Option<Ecn>,
    /// The payloads, concatenated.
    pub contents: &'a [u8],
    /// The size of each payload but the last, which may be shorter. `None`: one datagram.
    pub segment_size: Option<usize>,
}

/// Received datagrams: `buffer` holds runs of them, described by `metas`.
#[derive(Debug)]
pub struct RecvBatch {
    /// Slots of [`Self::SLOT_BYTES`] bytes; run `i` starts at `i * SLOT_BYTES`.
    pub buffer: Box<[u8]>,
    /// One entry per run; empty before a call of [`Socket::poll_recv`].
    pub metas: Vec<RecvMeta>,
}

/// One run of datagrams from one source.
#[derive(Copy, Clone, Debug)]
pub struct RecvMeta {
    /// The source address.
    pub source: SocketAddr,
    /// Bytes in the run.
    pub len: usize,
    /// Bytes of each datagram but the last, which may be shorter (generic receive offload). Equal to
    /// `len` for a single datagram.
    pub stride: usize,
    /// The ECN codepoint; `None` for Not-ECT.
    pub ecn: Option<Ecn>,
}

impl RecvBatch {
    /// Space for one run: the largest UDP payload, rounded up.
    pub const SLOT_BYTES: usize = 65_536;
    /// The most runs in a batch.
    pub const SLOTS: usize = 8;

    /// An empty batch.
    pub fn new() -> Self {
        Self {
            buffer: vec![0; Self::SLOT_BYTES * Self::SLOTS].into_boxed_slice(),
            metas: Vec::with_capacity(Self::SLOTS),
        }
    }

    /// Every datagram of the batch in order of arrival, mutable so that it can be decrypted in
    /// place.
    pub fn datagrams_mut(&mut self) -> impl Iterator<Item = (RecvMeta, &mut [u8])> {
        let slots = self.buffer.chunks_mut(Self::SLOT_BYTES);
        self.metas.iter().zip(slots).flat_map(|(&meta, slot)| {
            slot[..meta.len]
                .chunks_mut(meta.stride.max(1))
                .map(move |datagram| (meta, datagram))
        })
    }
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits for `duration`.
pub async fn sleep(runtime: &dyn Runtime, duration: Duration) {
    let mut timer = runtime.timer(runtime.now() + duration);
    std::future::poll_fn(|cx| timer.as_mut().poll_fire(cx)).await;
}

/// The error of a [`timeout`] whose deadline passed first.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct Elapsed;

/// Runs `future` for at most `duration`.
///
/// # Errors
///
/// [`Elapsed`] when it is not done by then.
pub async fn timeout<F: Future>(
    runtime: &dyn Runtime,
    duration: Duration,
    future: F,
) -> Result<F::Output, Elapsed> {
    let mut timer = runtime.timer(runtime.now() + duration);
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| {
        // The future first: what is done at the deadline has not timed out.
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        timer.as_mut().poll_fire(cx).map(|()| Err(Elapsed))
    })
    .await
}

/// Runs a blocking job through [`Runtime::spawn_blocking`] and returns its result.
///
/// # Panics
///
/// Panics when the job panicked.
pub async fn spawn_blocking<T: Send + 'static>(
    runtime: &dyn Runtime,
    job: impl FnOnce() -> T + Send + 'static,
) -> T {
    let slot = Arc::new(Mutex::new(None));
    let filled = Arc::clone(&slot);
    runtime
        .spawn_blocking(Box::new(move || {
            let value = job();
            *filled.lock() = Some(value);
        }))
        .await;
    let value = slot.lock().take();
    value.expect("the job has run, or its panic has been propagated")
}
