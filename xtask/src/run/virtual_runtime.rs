//! LFTP's runtime on a virtual host: the few lines between the two crates that do not know
//! each other.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use lftp_netem::world::{self, Host, Run};
use lftp_transport::{BoxFuture, Ecn, RecvBatch, RecvMeta, Runtime, Socket, Time, Timer, Transmit};

/// A host of the virtual world, as a transport sees its surroundings.
pub(crate) struct VirtualRuntime {
    host: Host,
}

impl VirtualRuntime {
    /// As a transport wants it.
    pub(crate) fn shared(host: Host) -> Arc<dyn Runtime> {
        Arc::new(Self { host })
    }
}

impl fmt::Debug for VirtualRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualRuntime")
            .field("host", &self.host.ip())
            .finish()
    }
}

const fn to_world(time: Time) -> lftp_netem::Time {
    lftp_netem::Time::from_nanos(time.as_nanos())
}

impl Runtime for VirtualRuntime {
    fn now(&self) -> Time {
        Time::from_nanos(self.host.now().as_nanos())
    }

    fn timer(&self, at: Time) -> Pin<Box<dyn Timer>> {
        Box::pin(VirtualTimer(self.host.timer(to_world(at))))
    }

    fn spawn(&self, future: BoxFuture<()>) {
        self.host.spawn_boxed(future);
    }

    fn bind(&self, addr: SocketAddr) -> io::Result<Arc<dyn Socket>> {
        let socket = self.host.bind(addr)?;
        let runs = Mutex::new([Run::EMPTY; RecvBatch::SLOTS]);
        Ok(Arc::new(VirtualSocket { socket, runs }))
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.host.fill_random(bytes);
    }

    /// At once: in virtual time a disk takes no time.
    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<()> {
        Box::pin(async move { job() })
    }
}

struct VirtualTimer(world::Timer);

impl fmt::Debug for VirtualTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VirtualTimer")
            .field(&self.0.deadline())
            .finish()
    }
}

impl Timer for VirtualTimer {
    fn reset(mut self: Pin<&mut Self>, at: Time) {
        self.0.reset(to_world(at));
    }

    fn poll_fire(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_fire(cx)
    }
}

struct VirtualSocket {
    socket: world::Socket,
    runs: Mutex<[Run; RecvBatch::SLOTS]>,
}

impl fmt::Debug for VirtualSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualSocket")
            .field("addr", &self.socket.local_addr())
            .finish()
    }
}

impl Socket for VirtualSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let slot_bytes = RecvBatch::SLOT_BYTES;
        let buffer = &mut batch.buffer[..];
        let count = ready!(
            self.socket
                .poll_recv_runs(cx, buffer, slot_bytes, &mut runs[..])
        )?;
        batch.metas.extend(runs[..count].iter().map(|run| RecvMeta {
            source: run.source,
            len: run.len,
            stride: run.stride,
            ecn: from_bits(run.ecn),
        }));
        Poll::Ready(Ok(()))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let ecn = transmit.ecn.map_or(0, to_bits);
        self.socket.try_send(
            transmit.destination,
            ecn,
            transmit.contents,
            transmit.segment_size,
        )
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_writable(cx)
    }

    fn max_segments(&self) -> usize {
        world::Socket::MAX_SEGMENTS
    }
}

/// The two bits of RFC 3168 §5.
const fn to_bits(ecn: Ecn) -> u8 {
    match ecn {
        Ecn::Ect1 => 0b01,
        Ecn::Ect0 => 0b10,
        Ecn::Ce => 0b11,
    }
}

const fn from_bits(bits: u8) -> Option<Ecn> {
    match bits & 0b11 {
        0b01 => Some(Ecn::Ect1),
        0b10 => Some(Ecn::Ect0),
        0b11 => Some(Ecn::Ce),
        _ => None,
    }
}
