//! What the driver asks of its surroundings: a clock, timers, tasks, sockets, randomness.
//!
//! [`TokioRuntime`](super::TokioRuntime) answers with the operating system. Any other
//! implementation (a virtual world, say) runs the very same driver, client and server.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::{Ecn, Time};

/// A future without a name.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The surroundings of a driver.
pub trait Runtime: Send + Sync + fmt::Debug + 'static {
    /// The present time. Never goes back.
    fn now(&self) -> Time;

    /// A timer that fires at `at`.
    fn timer(&self, at: Time) -> Pin<Box<dyn Timer>>;

    /// Runs a future to its end beside everything else.
    fn spawn(&self, future: BoxFuture<()>);

    /// Opens a UDP socket. Port 0 takes any free port.
    fn bind(&self, addr: SocketAddr) -> io::Result<Arc<dyn Socket>>;

    /// Fills `bytes` with randomness: the operating system's in real time, the seed's in
    /// virtual time.
    fn fill_random(&self, bytes: &mut [u8]);

    /// Runs a blocking job (file reads and writes) where it holds nobody up: on a thread in
    /// real time, inline in virtual time.
    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<()>;
}

/// A timer that can be set again.
pub trait Timer: Send + fmt::Debug {
    /// Moves the deadline.
    fn reset(self: Pin<&mut Self>, at: Time);

    /// Ready once the deadline is reached.
    fn poll_fire(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;
}

/// A UDP socket that does not block. One task at a time waits on it.
pub trait Socket: Send + Sync + fmt::Debug {
    /// The address the socket is bound to.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Fills `batch` with what has arrived, or waits. `Ok` means `batch` holds at least one
    /// datagram.
    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>>;

    /// Hands datagrams to the network. `WouldBlock` asks for
    /// [`poll_writable`](Self::poll_writable).
    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()>;

    /// Ready when [`try_send`](Self::try_send) is worth another try.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// How many segments of one size a single [`Transmit`] may carry (GSO); at least 1.
    fn max_segments(&self) -> usize;
}

/// Datagrams on their way out: one, or several of one size in a row (GSO).
#[derive(Debug)]
pub struct Transmit<'a> {
    /// Where to.
    pub destination: SocketAddr,
    /// The ECN mark, if any.
    pub ecn: Option<Ecn>,
    /// The payloads, one behind the other.
    pub contents: &'a [u8],
    /// The size of each payload but the last, which may be shorter. `None`: one datagram.
    pub segment_size: Option<usize>,
}

/// Datagrams that have arrived: `buffer` holds runs of them, `metas` says which.
#[derive(Debug)]
pub struct RecvBatch {
    /// Fixed slots of [`Self::SLOT_BYTES`] bytes; run `i` begins at `i * SLOT_BYTES`.
    pub buffer: Box<[u8]>,
    /// One entry a run; empty before a call of [`Socket::poll_recv`].
    pub metas: Vec<RecvMeta>,
}

/// One run of datagrams from one source.
#[derive(Copy, Clone, Debug)]
pub struct RecvMeta {
    /// Where from.
    pub source: SocketAddr,
    /// Bytes in the run.
    pub len: usize,
    /// Bytes of each datagram but the last, which may be shorter (GRO). Equals `len` for one.
    pub stride: usize,
    /// The ECN mark, if any.
    pub ecn: Option<Ecn>,
}

impl RecvBatch {
    /// The room for one run: the largest UDP payload, rounded up.
    pub const SLOT_BYTES: usize = 65_536;
    /// How many runs a batch may hold.
    pub const SLOTS: usize = 8;

    /// An empty batch.
    pub fn new() -> Self {
        Self {
            buffer: vec![0; Self::SLOT_BYTES * Self::SLOTS].into_boxed_slice(),
            metas: Vec::with_capacity(Self::SLOTS),
        }
    }

    /// Every datagram of the batch, in order of arrival, to be opened where it lies.
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

/// The deadline of [`timeout`] passed first.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct Elapsed;

/// Runs `future` for at most `duration`.
pub async fn timeout<F: Future>(
    runtime: &dyn Runtime,
    duration: Duration,
    future: F,
) -> Result<F::Output, Elapsed> {
    let mut timer = runtime.timer(runtime.now() + duration);
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        timer.as_mut().poll_fire(cx).map(|()| Err(Elapsed))
    })
    .await
}

/// Runs a blocking job through [`Runtime::spawn_blocking`] and gives its result back.
///
/// # Panics
///
/// Panics when the job panicked.
pub async fn unblock<T: Send + 'static>(
    runtime: &dyn Runtime,
    job: impl FnOnce() -> T + Send + 'static,
) -> T {
    let slot = Arc::new(std::sync::Mutex::new(None));
    let filled = Arc::clone(&slot);
    runtime
        .spawn_blocking(Box::new(move || {
            let value = job();
            *filled
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(value);
        }))
        .await;
    let value = slot
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .take();
    value.expect("the job ran to its end, or its panic has been passed on")
}
