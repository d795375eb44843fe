//! A virtual UDP socket.

use std::{
    fmt,
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

use super::{Shared, id::SocketId, lock, network::Burst, receive_queue::Run};

/// The largest payload of a UDP datagram over IPv4; also of one burst, as on Linux.
pub const PAYLOAD_BYTES_MAX: usize = 65_507;

/// The source and the ECN mark of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatagramMeta {
    /// The sender's address.
    pub source: SocketAddr,
    /// The two ECN bits.
    pub ecn: u8,
}

/// A UDP socket on a virtual host. Dropping it frees its port.
///
/// Sending never blocks: what does not fit into the link's queue is dropped there. One task at a
/// time waits for datagrams.
pub struct Socket {
    shared: Arc<Shared>,
    id: SocketId,
}

impl Socket {
    /// The most datagrams of one [`try_send`](Self::try_send): Linux's limit.
    pub const MAX_SEGMENTS: usize = 64;

    pub(super) const fn new(shared: Arc<Shared>, id: SocketId) -> Self {
        Self { shared, id }
    }

    /// The address the socket is bound to. It follows its host to a new one.
    ///
    /// # Errors
    /// `NotConnected` when the host was killed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        lock(&self.shared.network).local_addr(self.id)
    }

    /// Sends datagrams to `destination`: `contents` cut into pieces of
    /// `segment_size` bytes, the last of which may be shorter, or whole. `ecn` holds the two
    /// ECN bits.
    ///
    /// # Errors
    /// `InvalidInput` for a segment size of 0, more than [`Self::MAX_SEGMENTS`] segments or more
    /// than [`PAYLOAD_BYTES_MAX`] bytes; `NetworkUnreachable` for a destination of the other IP
    /// version; `NotConnected` when the host was killed.
    pub fn try_send(
        &self,
        destination: SocketAddr,
        ecn: u8,
        contents: &[u8],
        segment_size: Option<usize>,
    ) -> io::Result<()> {
        // At least 1 for an empty datagram, of which there is one segment.
        let segment_bytes = segment_size.unwrap_or_else(|| contents.len().max(1));
        if segment_bytes == 0
            || contents.len() > PAYLOAD_BYTES_MAX
            || contents.len().div_ceil(segment_bytes) > Self::MAX_SEGMENTS
        {
            let message = format!(
                "{} bytes in segments of {segment_bytes} do not fit into one call",
                contents.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let burst = Burst {
            destination,
            ecn,
            contents,
            segment_bytes,
        };
        let now = self.shared.now();
        lock(&self.shared.network).send(now, self.id, &burst)
    }

    /// Ready: sending never blocks.
    ///
    /// # Errors
    /// `NotConnected` when the host was killed.
    pub fn poll_writable(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.local_addr().map(|_| ()))
    }

    /// Takes one datagram: its payload is swapped into `payload`, whose old buffer is reused.
    ///
    /// # Errors
    /// `NotConnected` when the host was killed.
    pub fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        payload: &mut Vec<u8>,
    ) -> Poll<io::Result<DatagramMeta>> {
        let mut network = lock(&self.shared.network);
        let (socket, pool) = network.socket_and_pool(self.id)?;
        let Some(packet) = socket.queue.pop() else {
            let replaced = socket.watch(cx);
            drop(network);
            drop(replaced);
            return Poll::Pending;
        };
        // Swapped, not copied: the caller's last buffer serves the next datagram.
        pool.give(std::mem::replace(payload, packet.payload));
        Poll::Ready(Ok(DatagramMeta {
            source: packet.source,
            ecn: packet.ecn,
        }))
    }

    /// Takes runs of datagrams: run `i` is copied to `buffer[i * slot_bytes..]` and described in
    /// `runs[i]`. Returns how many, at least one; both `buffer` and `runs` limit it. A datagram
    /// longer than `slot_bytes` is cut.
    ///
    /// # Errors
    /// `NotConnected` when the host was killed; `InvalidInput` when there is no room for a run.
    pub fn poll_recv_runs(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        slot_bytes: usize,
        runs: &mut [Run],
    ) -> Poll<io::Result<usize>> {
        if slot_bytes == 0 || buffer.len() < slot_bytes || runs.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        let mut network = lock(&self.shared.network);
        let (socket, pool) = network.socket_and_pool(self.id)?;
        let mut count = 0;
        for (room, place) in buffer.chunks_exact_mut(slot_bytes).zip(runs) {
            let Some(run) = socket.queue.pop_run(room, pool) else {
                break;
            };
            *place = run;
            count += 1;
        }
        if count > 0 {
            return Poll::Ready(Ok(count));
        }
        let replaced = socket.watch(cx);
        drop(network);
        drop(replaced);
        Poll::Pending
    }

    /// Waits for one datagram; see [`poll_recv`](Self::poll_recv).
    ///
    /// # Errors
    /// `NotConnected` when the host was killed.
    pub async fn recv(&self, payload: &mut Vec<u8>) -> io::Result<DatagramMeta> {
        poll_fn(|cx| self.poll_recv(cx, payload)).await
    }

    /// Datagrams dropped because the receive queue was full.
    ///
    /// # Errors
    /// `NotConnected` when the host was killed.
    pub fn dropped(&self) -> io::Result<u64> {
        lock(&self.shared.network)
            .socket(self.id)
            .map(|socket| socket.queue.dropped)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let waker = lock(&self.shared.network).close(self.id);
        drop(waker);
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("local_addr", &self.local_addr().ok())
            .finish_non_exhaustive()
    }
}
