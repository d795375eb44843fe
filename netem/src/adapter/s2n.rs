//! s2n-quic on a virtual host: its clock, timer, queues of datagrams and randomness (feature
//! `s2n`).
//!
//! A client or server is built with [`S2nIo`] as its I/O provider and [`S2nRandom`] as its source
//! of randomness; everything above is s2n-quic's own API. `examples/s2n_in_virtual_time.rs` shows
//! it.
//!
//! The provider is written against `s2n-quic-core`, whose interface is not settled: the feature
//! pins both crates to one version, and a newer one takes a look at this file.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use s2n_quic::provider::io::Provider;
use s2n_quic::provider::random;
use s2n_quic_core::endpoint::Endpoint;
use s2n_quic_core::event::EndpointPublisher;
use s2n_quic_core::inet::{ExplicitCongestionNotification, SocketAddress, datagram};
use s2n_quic_core::io::event_loop::{EventLoop, Stats};
use s2n_quic_core::io::rx::{self, Rx};
use s2n_quic_core::io::tx::{self, Message, PayloadBuffer, Tx};
use s2n_quic_core::path::{Tuple, mtu};
use s2n_quic_core::task::cooldown::Cooldown;
use s2n_quic_core::time::Timestamp;
use s2n_quic_core::time::clock::{Clock, ClockWithTimer, NoopClock, Timer};

use crate::Time;
use crate::world::{self, DatagramMeta, Host, Socket};

/// Datagrams received at once.
const BATCH: usize = 32;

/// An I/O [`Provider`] for s2n-quic: a UDP port of a virtual host, and its clock.
pub struct S2nIo {
    host: Host,
    port: u16,
}

impl S2nIo {
    /// A socket at `port` of `host`; port 0 takes any free one.
    pub const fn new(host: Host, port: u16) -> Self {
        Self { host, port }
    }
}

impl fmt::Debug for S2nIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S2nIo")
            .field("host", &self.host.ip())
            .field("port", &self.port)
            .finish()
    }
}

/// The virtual host's randomness as a [`random::Provider`], so that a seed gives the same packets
/// again.
pub struct S2nRandom(
    /// The host.
    pub Host,
);

impl fmt::Debug for S2nRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S2nRandom").field(&self.0.ip()).finish()
    }
}

impl random::Provider for S2nRandom {
    type Generator = Self;
    type Error = Infallible;

    fn start(self) -> Result<Self, Infallible> {
        Ok(self)
    }
}

impl random::Generator for S2nRandom {
    fn public_random_fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_random(bytes);
    }

    fn private_random_fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_random(bytes);
    }
}

impl Provider for S2nIo {
    type PathHandle = Tuple;
    type Error = io::Error;

    fn start<E: Endpoint<PathHandle = Tuple>>(self, mut endpoint: E) -> io::Result<SocketAddress> {
        let addr = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), self.port);
        let socket = Arc::new(self.host.bind(addr)?);
        let local: SocketAddress = socket.local_addr()?.into();
        let mtu = mtu::Config::default();
        endpoint.set_mtu_config(mtu);
        let event_loop = EventLoop {
            endpoint,
            clock: VirtualClock(self.host.clone()),
            rx: Receiver(Received::new(Arc::clone(&socket), local)),
            tx: Sender(Sending {
                socket,
                datagram: vec![0; mtu.max_mtu().into()],
            }),
            cooldown: Cooldown::default(),
            stats: Uncounted,
        };
        self.host.spawn(event_loop.start(local));
        Ok(local)
    }
}

/// The host's clock. A [`Timestamp`] counts microseconds and cannot be zero, so the world begins
/// at one of them.
struct VirtualClock(Host);

fn origin() -> Timestamp {
    NoopClock.get_time()
}

impl Clock for VirtualClock {
    fn get_time(&self) -> Timestamp {
        origin() + std::time::Duration::from_nanos(self.0.now().as_nanos())
    }
}

impl ClockWithTimer for VirtualClock {
    type Timer = VirtualTimer;

    fn timer(&self) -> VirtualTimer {
        VirtualTimer {
            timer: self.0.timer(Time::MAX),
            is_set: false,
        }
    }
}

/// Fires once for each time it is set.
struct VirtualTimer {
    timer: world::Timer,
    is_set: bool,
}

impl Timer for VirtualTimer {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_set {
            return Poll::Pending;
        }
        let fired = self.timer.poll_fire(cx);
        self.is_set = fired.is_pending();
        fired
    }

    fn update(&mut self, at: Timestamp) {
        let since = at.saturating_duration_since(origin()).as_nanos();
        let nanos = u64::try_from(since).unwrap_or(u64::MAX);
        self.timer.reset(Time::from_nanos(nanos));
        self.is_set = true;
    }
}

/// s2n-quic's receiving side of the socket.
struct Receiver(Received);

/// Datagrams received and not yet handled.
struct Received {
    socket: Arc<Socket>,
    local: SocketAddress,
    metas: Vec<DatagramMeta>,
    payloads: Vec<Vec<u8>>,
}

impl Received {
    fn new(socket: Arc<Socket>, local: SocketAddress) -> Self {
        Self {
            socket,
            local,
            metas: Vec::with_capacity(BATCH),
            payloads: vec![Vec::new(); BATCH],
        }
    }
}

impl Rx for Receiver {
    type PathHandle = Tuple;
    type Queue = Received;
    type Error = io::Error;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Received {
            socket,
            metas,
            payloads,
            ..
        } = &mut self.0;
        for payload in &mut payloads[metas.len()..] {
            match socket.poll_recv(cx, payload) {
                Poll::Ready(meta) => metas.push(meta?),
                Poll::Pending => break,
            }
        }
        if metas.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn queue<F: FnOnce(&mut Received)>(&mut self, take: F) {
        take(&mut self.0);
    }

    fn handle_error<E: EndpointPublisher>(self, error: io::Error, _: &mut E) {
        tracing::debug!(%error, "s2n-quic receives no more");
    }
}

impl rx::Queue for Received {
    type Handle = Tuple;

    fn for_each<F: FnMut(datagram::Header<Tuple>, &mut [u8])>(&mut self, mut take: F) {
        for (meta, payload) in self.metas.drain(..).zip(&mut self.payloads) {
            let header = datagram::Header {
                path: Tuple {
                    remote_address: SocketAddress::from(meta.source).into(),
                    local_address: self.local.into(),
                },
                ecn: ExplicitCongestionNotification::new(meta.ecn),
            };
            take(header, payload);
        }
    }

    fn is_empty(&self) -> bool {
        self.metas.is_empty()
    }
}

/// s2n-quic's sending side of the socket.
struct Sender(Sending);

/// Sends each datagram as it is pushed: sending on a virtual socket never blocks.
struct Sending {
    socket: Arc<Socket>,
    /// Scratch space for the largest datagram.
    datagram: Vec<u8>,
}

impl Tx for Sender {
    type PathHandle = Tuple;
    type Queue = Sending;
    type Error = Infallible;

    /// Never ready: there is always room, so s2n-quic never waits for it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    fn queue<F: FnOnce(&mut Sending)>(&mut self, push: F) {
        push(&mut self.0);
    }

    fn handle_error<E: EndpointPublisher>(self, error: Infallible, _: &mut E) {
        match error {}
    }
}

impl tx::Queue for Sending {
    type Handle = Tuple;

    const SUPPORTS_ECN: bool = true;

    fn push<M: Message<Handle = Tuple>>(
        &mut self,
        mut message: M,
    ) -> Result<tx::Outcome, tx::Error> {
        let len = message.write_payload(PayloadBuffer::new(&mut self.datagram), 0)?;
        let to = (*message.path_handle().remote_address).into();
        let ecn = message.ecn() as u8;
        let sent = self.socket.try_send(to, ecn, &self.datagram[..len], None);
        if let Err(error) = sent {
            tracing::debug!(%error, "not sent");
        }
        Ok(tx::Outcome { len, index: 0 })
    }

    fn capacity(&self) -> usize {
        usize::MAX
    }
}

/// Drops s2n-quic's event-loop statistics; the link has counters of its own.
struct Uncounted;

impl Stats for Uncounted {
    fn publish<P: EndpointPublisher>(&mut self, _: &mut P) {}
}
