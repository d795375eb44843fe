//! The [`Runtime`] of real time: tokio's tasks, the operating system's sockets, clock and
//! randomness.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use quinn_udp::{EcnCodepoint, UdpSockRef, UdpSocketState};
use tokio::io::Interest;
use tokio::runtime::Handle;

use super::precise_timer::PreciseTimer;
use super::runtime::{BoxFuture, RecvBatch, RecvMeta, Runtime, Socket, Timer, Transmit};
use crate::{Ecn, Time};

/// Requested size of a socket's buffers: the bandwidth-delay product of a fast path. Systems that
/// allow less grant what they allow.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;

/// A [`Runtime`] on the operating system, through tokio.
#[derive(Debug)]
pub struct TokioRuntime {
    handle: Handle,
    origin: Instant,
}

impl TokioRuntime {
    /// The tokio runtime of the caller, with a clock that starts at zero now.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    #[expect(clippy::disallowed_methods, reason = "the driver's clock")]
    pub fn new() -> Arc<Self> {
        Self::with_origin(Instant::now())
    }

    /// The same with a clock that is zero at `origin`, so that several traces share a time axis.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn with_origin(origin: Instant) -> Arc<Self> {
        Arc::new(Self {
            handle: Handle::current(),
            origin,
        })
    }
}

impl Runtime for TokioRuntime {
    fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }

    fn timer(&self, at: Time) -> Pin<Box<dyn Timer>> {
        let _inside = self.handle.enter();
        Box::pin(PreciseTimer::new(self.origin, at))
    }

    fn spawn(&self, future: BoxFuture<()>) {
        self.handle.spawn(future);
    }

    fn bind(&self, addr: SocketAddr) -> io::Result<Arc<dyn Socket>> {
        let _inside = self.handle.enter();
        let socket = std::net::UdpSocket::bind(addr)?;
        let options = socket2::SockRef::from(&socket);
        // Best effort: a smaller buffer only costs throughput on fast paths.
        let _ = options.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        let _ = options.set_send_buffer_size(SOCKET_BUFFER_BYTES);
        // Before tokio has it: quinn-udp sets the options for ECN and segmentation offload, which
        // `from_std` leaves alone.
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        socket.set_nonblocking(true)?;
        let io = tokio::net::UdpSocket::from_std(socket)?;
        Ok(Arc::new(TokioSocket { io, state }))
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system has randomness");
    }

    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<()> {
        let task = self.handle.spawn_blocking(job);
        Box::pin(async move {
            // A cancelled job comes of a runtime that shuts down: no task waits for its result.
            if let Err(error) = task.await
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        })
    }
}

/// A UDP socket with segmentation offload and ECN.
#[derive(Debug)]
struct TokioSocket {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
}

impl Socket for TokioSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>> {
        let mut metas = [quinn_udp::RecvMeta::default(); RecvBatch::SLOTS];
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let received = self.io.try_io(Interest::READABLE, || {
                let mut slots = batch.buffer.chunks_mut(RecvBatch::SLOT_BYTES);
                let mut buffers: [io::IoSliceMut<'_>; RecvBatch::SLOTS] =
                    std::array::from_fn(|_| io::IoSliceMut::new(slots.next().unwrap_or_default()));
                self.state.recv((&self.io).into(), &mut buffers, &mut metas)
            });
            match received {
                Ok(count) => {
                    batch
                        .metas
                        .extend(metas[..count].iter().map(|meta| RecvMeta {
                            source: meta.addr,
                            len: meta.len,
                            stride: meta.stride,
                            ecn: meta.ecn.map(from_codepoint),
                        }));
                    return Poll::Ready(Ok(()));
                }
                // Readiness was stale: `try_io` has cleared it, and the next turn waits.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let transmit = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: transmit.ecn.map(to_codepoint),
            contents: transmit.contents,
            segment_size: transmit.segment_size,
            // One address is enough for a client; a listener on several answers from what the
            // routing table picks.
            src_ip: None,
        };
        self.io.try_io(Interest::WRITABLE, || {
            self.state.try_send((&self.io).into(), &transmit)
        })
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_send_ready(cx)
    }

    fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }
}

const fn from_codepoint(codepoint: EcnCodepoint) -> Ecn {
    match codepoint {
        EcnCodepoint::Ect0 => Ecn::Ect0,
        EcnCodepoint::Ect1 => Ecn::Ect1,
        EcnCodepoint::Ce => Ecn::Ce,
    }
}

const fn to_codepoint(ecn: Ecn) -> EcnCodepoint {
    match ecn {
        Ecn::Ect0 => EcnCodepoint::Ect0,
        Ecn::Ect1 => EcnCodepoint::Ect1,
        Ecn::Ce => EcnCodepoint::Ce,
    }
}
