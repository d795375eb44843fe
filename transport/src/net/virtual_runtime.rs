//! The [`Runtime`] of a virtual host: virtual time, and the sockets of [`lftp_netem::world`].
//!
//! The driver above it is the one that runs on the operating system, so a test in virtual time
//! exercises the code that a program runs.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use lftp_netem::world::{self, Host, Run};
use parking_lot::Mutex;

use super::runtime::{BoxFuture, RecvBatch, RecvMeta, Runtime, Socket, Timer, Transmit};
use crate::{Ecn, Time};

/// A host of netem's virtual world as a [`Runtime`]: feature `netem`.
///
/// ```
/// use lftp_netem::{profile::NetworkProfile, world::{World}};
/// use lftp_transport::{Config, Listener, Stream, VirtualRuntime};
///
/// let network = NetworkProfile::from_toml_str("delay = '20ms'\nloss = '1%'")?;
/// let mut world = World::new(&network, 1);
/// let server = VirtualRuntime::new(world.add_server("10.0.1.1".parse()?)?);
/// let client = VirtualRuntime::new(world.add_client("10.0.2.1".parse()?)?);
/// let listener = Listener::bind(server, "0.0.0.0:7".parse()?, Config::default())?;
/// let remote = "10.0.1.1:7".parse()?;
/// world.block_on(async move {
///     let client = Stream::connect(client, remote, Config::default()).await?;
///     let accepted = listener.accept().await?;
///     assert_eq!(accepted.remote_addr().ip(), client_ip());
///     Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// })?.unwrap();
/// # fn client_ip() -> std::net::IpAddr { [10, 0, 2, 1].into() }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VirtualRuntime {
    host: Host,
}

impl VirtualRuntime {
    /// The runtime of `host`. Its clock, timers, tasks, sockets and randomness are the host's.
    pub fn new(host: Host) -> Arc<Self> {
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

    /// Runs the job when the future is polled: in virtual time a disk takes no time.
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
        let mut runs = self.runs.lock();
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

/// The ECN field of RFC 3168 §5.
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
