//! One connection, as the application holds it.

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

/// A reliable byte stream in both directions. The seed's `mysocket`.
///
/// Dropping it before both sides have [finished](Self::finish) resets the connection, with
/// reason 0.
pub struct Stream {
    shared: Arc<Shared>,
    id: ConnectionId,
    flow: Option<FlowId>,
    /// The rest of a chunk of which [`read`](Self::read) gave only a part.
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
        let flow = shared.lock().endpoint.flow(id);
        Self {
            shared,
            id,
            flow,
            rest: Bytes::new(),
            finished: false,
        }
    }

    /// Connects to `remote` from a port of its own. The seed's `connect`.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: no answer, a refusal, or a socket that cannot be opened.
    pub async fn connect(
        runtime: Arc<dyn Runtime>,
        remote: SocketAddr,
        config: Config,
    ) -> Result<Self, ConnectError> {
        let stream = Self::begin(runtime, remote, config)?;
        stream.established().await?;
        Ok(stream)
    }

    /// Begins to connect, and waits for nothing: the handshake goes on by itself.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: a socket that cannot be opened.
    pub fn begin(
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
        // From here on dropping the stream cleans up, also when this future is dropped.
        Ok(Self::new(shared, id))
    }

    /// Waits until the handshake is done.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: no answer, or a refusal.
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

    /// The peer's address when the connection was made.
    pub fn remote_addr(&self) -> SocketAddr {
        self.flow.map_or(self.shared.local_addr, |flow| flow.remote)
    }

    /// The key that the peer has proved to hold.
    pub fn peer_key(&self) -> Option<PublicKey> {
        self.shared.lock().endpoint.peer_key(self.id)
    }

    /// The connection's name in traces.
    pub fn flow(&self) -> Option<FlowId> {
        self.flow
    }

    /// Counters and state.
    pub fn stats(&self) -> Stats {
        self.shared.lock().endpoint.stats(self.id)
    }

    /// A look at whether the peer is still there, for somebody else than who reads and writes.
    pub fn pulse(&self) -> Pulse {
        Pulse {
            shared: Arc::clone(&self.shared),
            id: self.id,
        }
    }

    /// Reads what is there, at least one byte; 0 is the peer's FIN. The seed's `recv`.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the connection ended in any other way.
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

    /// Reads what is there without copying, at most `max` bytes; `None` is the peer's FIN.
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

    /// Takes some of `buf` into the send buffer, at least one byte. The seed's `send`.
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
        let room = ready!(self.poll_room(cx))?;
        let len = buf.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let bytes = Bytes::copy_from_slice(&buf[..len]);
        self.shared
            .act(|state| state.endpoint.write(self.id, bytes));
        Poll::Ready(Ok(len))
    }

    /// Takes all of `buf` into the send buffer, waiting for room as needed.
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

    /// Takes `bytes` into the send buffer without copying, once there is any room.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn write_bytes(&mut self, bytes: Bytes) -> Result<(), WriteError> {
        if bytes.is_empty() {
            return Ok(());
        }
        std::future::poll_fn(|cx| self.poll_room(cx)).await?;
        self.shared
            .act(|state| state.endpoint.write(self.id, bytes));
        Ok(())
    }

    fn poll_room(&self, cx: &Context<'_>) -> Poll<Result<u64, WriteError>> {
        if self.finished {
            return Poll::Ready(Err(WriteError::Closed));
        }
        let mut state = self.shared.lock();
        if let Some(failure) = state.failure(self.id) {
            return Poll::Ready(Err(failure.into()));
        }
        match state.endpoint.write_room(self.id) {
            0 => {
                state.wait_write(self.id, cx);
                Poll::Pending
            }
            room => Poll::Ready(Ok(room)),
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
        let begun = std::mem::replace(&mut self.finished, true);
        self.shared.act(|state| {
            if !begun {
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

    /// Ends both directions now; the peer's reads and writes fail with `reason`.
    pub fn reset(&mut self, reason: u32) {
        let now = self.shared.runtime.now();
        self.shared
            .act(|state| state.endpoint.reset(now, self.id, reason));
    }
}

/// Tells whether the peer of a stream is still there. Keeps nothing open.
#[derive(Clone)]
pub struct Pulse {
    shared: Arc<Shared>,
    id: ConnectionId,
}

impl Pulse {
    /// Asks the peer for a sign of life (PING); the question is repeated until it is answered.
    /// Returns what [`has_answered`](Self::has_answered) wants to know.
    pub fn ask(&self) -> u64 {
        self.shared.act(|state| state.endpoint.ping(self.id))
    }

    /// Whether the peer has answered what was asked then. What it said before, and arrives only
    /// now, is no answer.
    pub fn has_answered(&self, asked: u64) -> bool {
        let newest = self.shared.lock().endpoint.newest_acknowledged(self.id);
        newest.is_some_and(|newest| newest >= asked)
    }

    /// Whether both are of the same connection.
    pub fn is_of_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared) && self.id == other.id
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pulse").field(&self.id).finish()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let now = self.shared.runtime.now();
        self.shared.act(|state| {
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

    /// Bytes are on their way as soon as they are written.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_finish(cx).map_err(io::Error::from)
    }
}
