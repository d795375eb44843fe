//! quinn's runtime on a virtual host: its clock, timers, tasks and sockets.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use lftp_netem::Time;
use lftp_netem::world::{self, Host, Run};
use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, UdpPoller};

/// A host of the virtual world, as quinn sees its surroundings.
pub(super) struct QuinnRuntime {
    host: Host,
}

impl QuinnRuntime {
    pub(super) const fn new(host: Host) -> Self {
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

    /// There are no sockets of the operating system's here.
    fn wrap_udp_socket(&self, _: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn now(&self) -> Instant {
        origin() + Duration::from_nanos(self.host.now().as_nanos())
    }
}

/// What stands for the world's beginning. quinn looks at differences only, so it does not
/// matter when that is.
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant cannot be had otherwise; no time is measured with it"
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

/// A virtual socket, as quinn wants one.
#[derive(Debug)]
pub(super) struct QuinnSocket(pub(super) world::Socket);

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

/// A virtual socket never says "later".
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
