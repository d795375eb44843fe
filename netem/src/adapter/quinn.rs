//! quinn on a virtual host: its clock, timers, tasks and sockets (feature `quinn`).
//!
//! [`endpoint`] is the way in; everything above it is quinn's own API, unchanged. The feature
//! compiles quinn with rustls on aws-lc-rs. `examples/quinn_in_virtual_time.rs` is a client and a
//! server over a lossy link.
//!
//! Two runs with the same seed send the same packets as long as nothing but the host's randomness
//! decides their sizes. TLS takes its keys from the operating system, so the contents differ; with
//! signatures of a fixed size (Ed25519) the sizes do not.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{
    AsyncTimer, AsyncUdpSocket, Endpoint, EndpointConfig, Runtime, ServerConfig, UdpPoller,
};

use crate::Time;
use crate::world::{self, Host, Run};

/// Opens a quinn endpoint at `addr` on `host`; with a `server` configuration it also accepts
/// connections.
///
/// quinn's own randomness (connection ids and the like) is seeded by the host's.
///
/// # Errors
///
/// As [`Host::bind`], and whatever quinn itself refuses.
pub fn endpoint(
    host: &Host,
    addr: SocketAddr,
    mut config: EndpointConfig,
    server: Option<ServerConfig>,
) -> io::Result<Endpoint> {
    let socket = host.bind(addr)?;
    let mut seed = [0; 32];
    host.fill_random(&mut seed);
    config.rng_seed(Some(seed));
    Endpoint::new_with_abstract_socket(
        config,
        server,
        Arc::new(QuinnSocket(socket)),
        Arc::new(QuinnRuntime::new(host.clone())),
    )
}

/// A [`quinn::Runtime`] with the clock, timers and tasks of a virtual host.
pub struct QuinnRuntime {
    host: Host,
}

impl QuinnRuntime {
    /// The runtime of `host`.
    pub const fn new(host: Host) -> Self {
        Self { host }
    }
}

impl fmt::Debug for QuinnRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuinnRuntime")
            .field("host", &self.host.ip())
            .finish()
    }
}

impl Runtime for QuinnRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(QuinnTimer(self.host.timer(to_world(at))))
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.host.spawn_boxed(future);
    }

    /// Always `Unsupported`: a virtual host has no sockets of the operating system.
    fn wrap_udp_socket(&self, _: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn now(&self) -> Instant {
        origin() + Duration::from_nanos(self.host.now().as_nanos())
    }
}

/// The [`Instant`] that stands for time 0 of every world. quinn only looks at differences, so any
/// will do.
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no other way to an Instant; no time is measured with it"
    )]
    *ORIGIN.get_or_init(Instant::now)
}

fn to_world(at: Instant) -> Time {
    let since = at.saturating_duration_since(origin());
    Time::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

struct QuinnTimer(world::Timer);

impl fmt::Debug for QuinnTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QuinnTimer")
            .field(&self.0.deadline())
            .finish()
    }
}

impl AsyncTimer for QuinnTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.0.reset(to_world(at));
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_fire(cx)
    }
}

/// A virtual socket as a [`quinn::AsyncUdpSocket`].
#[derive(Debug)]
pub struct QuinnSocket(
    /// The socket.
    pub world::Socket,
);

impl AsyncUdpSocket for QuinnSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.try_send(
            transmit.destination,
            transmit.ecn.map_or(0, |ecn| ecn as u8),
            transmit.contents,
            transmit.segment_size,
        )
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut count = 0;
        for (buffer, meta) in buffers.iter_mut().zip(metas) {
            let mut run = [Run::EMPTY];
            let slot_bytes = buffer.len();
            match self.0.poll_recv_runs(cx, buffer, slot_bytes, &mut run) {
                Poll::Ready(Ok(_)) => *meta = meta_of(run[0]),
                Poll::Ready(Err(error)) if count == 0 => return Poll::Ready(Err(error)),
                Poll::Pending if count == 0 => return Poll::Pending,
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
            count += 1;
        }
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        world::Socket::MAX_SEGMENTS
    }

    fn max_receive_segments(&self) -> usize {
        world::Socket::MAX_SEGMENTS
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

fn meta_of(run: Run) -> RecvMeta {
    RecvMeta {
        addr: run.source,
        len: run.len,
        stride: run.stride,
        ecn: EcnCodepoint::from_bits(run.ecn),
        ..RecvMeta::default()
    }
}

/// Sending on a virtual socket never blocks: the link's queue drops what it has no room for.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
