//! One connection, as the application uses it.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::driver::Shared;
use super::error::{ConnectError, ReadError, WriteError};
use super::runtime::Runtime;
use crate::config::Config;
use crate::crypto::PublicKey;
use crate::proto::{ConnectionId, FlowId, Stats};

/// A reliable, bidirectional byte stream. The original library's `mysocket`.
///
/// Dropping it before both sides have [finished](Self::finish) resets the connection, with
/// reason 0.
pub struct Stream {
    shared: Arc<Shared>,
    id: ConnectionId,
    flow: Option<FlowId>,
    /// The rest of a chunk that [`read`](Self::read) has returned in part.
    rest: Bytes,
    finished: bool,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("flow", &self.flow)
            .finish_non_exhaustive()
    }
}

impl Stream {
    pub(super) fn new(shared: Arc<Shared>, id: ConnectionId) -> Self {
        // Kept, because the endpoint forgets it together with the connection, and errors are
        // reported later.
        let flow = shared.lock().endpoint.flow(id);
        Self {
            shared,
            id,
            flow,
            rest: Bytes::new(),
            finished: false,
        }
    }

    /// Connects to `remote` from a port of its own. The original library's `connect`.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] when the handshake fails or no socket can be opened.
    pub async fn connect(
        runtime: Arc<dyn Runtime>,
        remote: SocketAddr,
        config: Config,
    ) -> Result<Self, ConnectError> {
        let stream = Self::start_connect(runtime, remote, config)?;
        stream.established().await?;
        Ok(stream)
    }

    /// Starts to connect and returns at once; the driver completes the handshake. Bytes can be
    /// written before that.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Io`] when no socket can be opened.
    pub fn start_connect(
        runtime: Arc<dyn Runtime>,
        remote: SocketAddr,
        config: Config,
    ) -> Result<Self, ConnectError> {
        let any: SocketAddr = match remote {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let shared = Shared::start(runtime, any, config)?;
        let now = shared.runtime.now();
        let id = shared.act(|state| state.endpoint.connect(now, remote));
        // From here on the stream's destructor cleans up, also when `connect` is cancelled.
        Ok(Self::new(shared, id))
    }

    /// Waits for the handshake to complete.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] when it fails.
    pub async fn established(&self) -> Result<(), ConnectError> {
        std::future::poll_fn(|cx| {
            let mut state = self.shared.lock();
            if let Some(failure) = state.failure(self.id) {
                return Poll::Ready(Err(failure.into()));
            }
            if state.endpoint.is_established(self.id) {
                return Poll::Ready(Ok(()));
            }
            state.wait_write(self.id, cx);
            Poll::Pending
        })
        .await
    }

    /// This side's address.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local_addr
    }

    /// The peer's address at the time of the handshake.
    pub fn remote_addr(&self) -> SocketAddr {
        self.flow.map_or(self.shared.local_addr, |flow| flow.remote)
    }

    /// The peer's public key, once the handshake is complete.
    pub fn peer_key(&self) -> Option<PublicKey> {
        self.shared.lock().endpoint.peer_key(self.id)
    }

    /// The connection's identifier in traces.
    pub fn flow(&self) -> Option<FlowId> {
        self.flow
    }

    /// The connection's counters and state.
    pub fn stats(&self) -> Stats {
        self.shared.lock().endpoint.stats(self.id)
    }

    /// A handle to the connection's counters and liveness, independent of the stream's borrow.
    pub fn monitor(&self) -> StreamMonitor {
        StreamMonitor {
            shared: Arc::clone(&self.shared),
            id: self.id,
        }
    }

    /// Reads what is available, at least one byte; 0 is the peer's FIN. The original library's
    /// `recv`.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the connection ended without a FIN.
    pub async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ReadError> {
        std::future::poll_fn(|cx| self.poll_read_into(cx, buf)).await
    }

    /// Reads until `buf` is full.
    ///
    /// # Errors
    ///
    /// [`ReadError::UnexpectedEnd`] when the peer's FIN comes first, or as [`read`](Self::read).
    pub async fn read_exact(&mut self, mut buf: &mut [u8]) -> Result<(), ReadError> {
        while !buf.is_empty() {
            match self.read(buf).await? {
                0 => return Err(ReadError::UnexpectedEnd),
                read => buf = &mut buf[read..],
            }
        }
        Ok(())
    }

    /// Reads what is available without copying, at most `max` bytes; `None` is the peer's FIN.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        std::future::poll_fn(|cx| self.poll_chunk(cx, max)).await
    }

    fn poll_chunk(
        &mut self,
        cx: &Context<'_>,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, ReadError>> {
        if !self.rest.is_empty() {
            let len = self.rest.len().min(max);
            return Poll::Ready(Ok(Some(self.rest.split_to(len))));
        }
        self.shared.act(|state| {
            // Bytes before the end, and the end before a failure: what arrived in order is
            // delivered, whatever happened to the connection since.
            if let Some(bytes) = state.endpoint.read(self.id, max) {
                return Poll::Ready(Ok(Some(bytes)));
            }
            if state.endpoint.is_read_out(self.id) {
                return Poll::Ready(Ok(None));
            }
            if let Some(failure) = state.failure(self.id) {
                return Poll::Ready(Err(failure.into()));
            }
            state.wait_read(self.id, cx);
            Poll::Pending
        })
    }

    fn poll_read_into(
        &mut self,
        cx: &Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, ReadError>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Some(chunk) = ready!(self.poll_chunk(cx, buf.len()))? else {
            return Poll::Ready(Ok(0));
        };
        buf[..chunk.len()].copy_from_slice(&chunk);
        Poll::Ready(Ok(chunk.len()))
    }

    /// Copies some of `buf` into the send buffer, at least one byte. The original library's `send`.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when the connection is over.
    pub async fn write(&mut self, buf: &[u8]) -> Result<usize, WriteError> {
        if buf.is_empty() {
            return Ok(0);
        }
        std::future::poll_fn(|cx| self.poll_write_some(cx, buf)).await
    }

    fn poll_write_some(&mut self, cx: &Context<'_>, buf: &[u8]) -> Poll<Result<usize, WriteError>> {
        // The lock is released in between. Only this stream writes here, so the space can only have
        // grown.
        let space = ready!(self.poll_space(cx))?;
        let len = buf.len().min(usize::try_from(space).unwrap_or(usize::MAX));
        let bytes = Bytes::copy_from_slice(&buf[..len]);
        self.shared
            .act(|state| state.endpoint.write(self.id, bytes));
        Poll::Ready(Ok(len))
    }

    /// Copies all of `buf` into the send buffer, waiting for space as needed.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn write_all(&mut self, mut buf: &[u8]) -> Result<(), WriteError> {
        while !buf.is_empty() {
            let written = self.write(buf).await?;
            buf = &buf[written..];
        }
        Ok(())
    }

    /// Moves `bytes` into the send buffer without copying, as soon as it has any space.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn write_bytes(&mut self, bytes: Bytes) -> Result<(), WriteError> {
        if bytes.is_empty() {
            return Ok(());
        }
        std::future::poll_fn(|cx| self.poll_space(cx)).await?;
        self.shared
            .act(|state| state.endpoint.write(self.id, bytes));
        Ok(())
    }

    fn poll_space(&self, cx: &Context<'_>) -> Poll<Result<u64, WriteError>> {
        if self.finished {
            return Poll::Ready(Err(WriteError::Finished));
        }
        let mut state = self.shared.lock();
        if let Some(failure) = state.failure(self.id) {
            return Poll::Ready(Err(failure.into()));
        }
        // Checked after the failure: a connection that is over has no room and never will.
        match state.endpoint.write_room(self.id) {
            0 => {
                state.wait_write(self.id, cx);
                Poll::Pending
            }
            space => Poll::Ready(Ok(space)),
        }
    }

    /// Sends the FIN and waits until the peer has acknowledged every byte and the FIN.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when the connection ended before that.
    pub async fn finish(&mut self) -> Result<(), WriteError> {
        std::future::poll_fn(|cx| self.poll_finish(cx)).await
    }

    fn poll_finish(&mut self, cx: &Context<'_>) -> Poll<Result<(), WriteError>> {
        let was_finished = std::mem::replace(&mut self.finished, true);
        self.shared.act(|state| {
            // The future may be dropped and called again: the FIN is asked for once, the wait is
            // repeated.
            if !was_finished {
                state.endpoint.finish(self.id);
            }
            if state.endpoint.is_finished(self.id) {
                return Poll::Ready(Ok(()));
            }
            if let Some(failure) = state.failure(self.id) {
                return Poll::Ready(Err(failure.into()));
            }
            state.wait_write(self.id, cx);
            Poll::Pending
        })
    }

    /// Resets both directions at once; the peer's reads and writes fail with `reason`.
    pub fn reset(&mut self, reason: u32) {
        let now = self.shared.runtime.now();
        self.shared
            .act(|state| state.endpoint.reset(now, self.id, reason));
    }
}

/// Observes a stream's connection: its counters, and whether the peer still answers. Does not keep
/// the connection open.
#[derive(Clone)]
pub struct StreamMonitor {
    shared: Arc<Shared>,
    id: ConnectionId,
}

impl StreamMonitor {
    /// The connection's counters and state; all zero once the stream is dropped and its connection
    /// closed.
    pub fn stats(&self) -> Stats {
        self.shared.lock().endpoint.stats(self.id)
    }

    /// Sends a PING, retransmitted until the peer acknowledges it. Returns the number of the first
    /// packet that can be it, for [`is_answered`](Self::is_answered).
    pub fn ping(&self) -> u64 {
        self.shared.act(|state| state.endpoint.ping(self.id))
    }

    /// Returns `true` once the peer has acknowledged the PING, or any packet sent after it. An
    /// acknowledgement of earlier packets that arrives only now proves nothing.
    pub fn is_answered(&self, ping: u64) -> bool {
        let newest = self.shared.lock().endpoint.newest_acknowledged(self.id);
        // Any later packet proves as much: the peer has received something sent after the question.
        newest.is_some_and(|newest| newest >= ping)
    }

    /// Returns `true` when both observe the same connection.
    pub fn is_same_connection(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared) && self.id == other.id
    }
}

impl fmt::Debug for StreamMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamMonitor").field(&self.id).finish()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let now = self.shared.runtime.now();
        self.shared.act(|state| {
            // Resets unless both sides have finished; then the endpoint keeps the connection until
            // its last acknowledgement is sure to have arrived.
            state.endpoint.abandon(now, self.id);
            state.forget(self.id);
        });
        self.shared.release();
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let unfilled = buf.initialize_unfilled();
        let read = ready!(self.poll_read_into(cx, unfilled))?;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_some(cx, buf).map_err(io::Error::from)
    }

    /// Ready at once: written bytes are sent without a flush.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_finish(cx).map_err(io::Error::from)
    }
}
