//! KCP as a peer: the state machine of the `kcp` crate in its fast mode (nodelay, a tick of
//! 10 ms, a retransmission after two later acknowledgements, no congestion window), and a task at each
//! end that hands it datagrams and the time. There is neither encryption nor a handshake.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use kcp::Kcp;
use lftp_netem::world::{Host, Socket};
use tokio::sync::Notify;

use super::protocol::{self, ByteStream};
use super::task::{ClientTask, PORT, ServerTask, window_bytes};
use crate::run::{RunError, SERVER, client_ip};
use crate::scenario::Scenario;

/// KCP's clock and timers tick in milliseconds; this is its least interval.
const TICK_MS: u32 = 10;
const NANOS_PER_MS: u64 = 1_000_000;

/// Bandwidth-delay products in a window. Without a congestion window the send window is what is
/// in flight, and what exceeds the path is lost in its queue; of 1, 2 and 4 products, 4 do
/// best all the same: a tick and the wait for retransmissions take more than a round trip.
const WINDOW_PRODUCTS: u64 = 4;
const WINDOW_BYTES_LEAST: u64 = 128 * PAYLOAD_BYTES as u64;

/// The UDP payload of a 1,500-byte packet over IPv4.
const PAYLOAD_BYTES: usize = 1472;

/// The fast mode of KCP's own documentation.
const FAST_RESEND: i32 = 2;

/// Starts a server for each client.
///
/// # Errors
/// [`RunError`] when it cannot.
pub(super) fn serve(service: ServerTask) -> Result<(), RunError> {
    let service = Arc::new(service);
    for index in 0..service.files.len() {
        let peer = SocketAddr::new(client_ip(index), PORT);
        let session = Session::start(&service.host, port(index), peer, &service.scenario).map_err(
            |source| RunError::System {
                doing: "start KCP's server",
                source,
            },
        )?;
        let serving = Arc::clone(&service);
        service.host.spawn(async move {
            let mut session = session;
            if let Err(error) = protocol::server(&mut session, &serving.files).await {
                tracing::debug!(error, "a transfer ended");
            }
        });
    }
    Ok(())
}

/// Transfers a client's file.
///
/// # Errors
/// A message with the reason why it did not arrive.
pub(super) async fn transfer(task: &ClientTask) -> Result<bool, String> {
    let server = SocketAddr::new(SERVER, port(task.request.index));
    let mut session = Session::start(&task.host, PORT, server, &task.scenario)
        .map_err(|error| error.to_string())?;
    protocol::client(&mut session, &task.request).await
}

/// A server has one session a port.
fn port(index: usize) -> u16 {
    PORT.saturating_add(u16::try_from(index).unwrap_or(u16::MAX))
}

/// One end of a conversation.
struct Session {
    shared: Arc<Shared>,
    /// A segment, and how much of it has been read.
    segment: Vec<u8>,
    taken: usize,
}

struct Shared {
    kcp: Mutex<Kcp<Output>>,
    readable: Notify,
    writable: Notify,
}

/// The destination of KCP's datagrams.
struct Output {
    socket: Arc<Socket>,
    peer: SocketAddr,
}

impl Write for Output {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.socket.try_send(self.peer, 0, datagram, None)?;
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn kcp(&self) -> MutexGuard<'_, Kcp<Output>> {
        self.kcp.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn start(host: &Host, port: u16, peer: SocketAddr, scenario: &Scenario) -> io::Result<Self> {
        let local = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
        let socket = Arc::new(host.bind(local)?);
        let output = Output {
            socket: Arc::clone(&socket),
            peer,
        };
        let mut kcp = Kcp::new_stream(1, output);
        kcp.set_mtu(PAYLOAD_BYTES).map_err(io::Error::other)?;
        kcp.set_nodelay(true, TICK_MS as i32, FAST_RESEND, true);
        let bytes = window_bytes(scenario, WINDOW_PRODUCTS, WINDOW_BYTES_LEAST);
        let packets = u16::try_from(bytes / PAYLOAD_BYTES as u64).unwrap_or(u16::MAX);
        kcp.set_wndsize(packets, packets);
        let shared = Arc::new(Shared {
            kcp: Mutex::new(kcp),
            readable: Notify::new(),
            writable: Notify::new(),
        });
        host.spawn(drive(host.clone(), socket, Arc::clone(&shared)));
        Ok(Self {
            shared,
            segment: Vec::new(),
            taken: 0,
        })
    }
}

/// Hands KCP its datagrams and, every tick, the time.
async fn drive(host: Host, socket: Arc<Socket>, shared: Arc<Shared>) {
    let mut tick = host.timer(host.now());
    let mut datagram = Vec::new();
    std::future::poll_fn(|cx| {
        loop {
            match socket.poll_recv(cx, &mut datagram) {
                // KCP ignores what it cannot parse.
                Poll::Ready(Ok(_)) => {
                    let _ = shared.kcp().input(&datagram);
                }
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        while tick.poll_fire(cx).is_ready() {
            let now_ms = host.now().as_nanos() / NANOS_PER_MS;
            // Its clock wraps around after 49 days.
            if shared.kcp().update(now_ms as u32).is_err() {
                return Poll::Ready(());
            }
            let next_ms = now_ms + u64::from(TICK_MS);
            tick.reset(lftp_netem::Time::from_nanos(next_ms * NANOS_PER_MS));
        }
        shared.readable.notify_one();
        shared.writable.notify_one();
        Poll::Pending
    })
    .await;
}

impl ByteStream for Session {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        loop {
            {
                let mut kcp = self.shared.kcp();
                if kcp.wait_snd() < 2 * usize::from(kcp.snd_wnd()) {
                    kcp.send(bytes).map_err(|error| error.to_string())?;
                    return Ok(());
                }
            }
            self.shared.writable.notified().await;
        }
    }

    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        while self.taken == self.segment.len() {
            let received = {
                let mut kcp = self.shared.kcp();
                let bytes = kcp.peeksize().unwrap_or(0);
                self.segment.resize(bytes, 0);
                self.taken = 0;
                kcp.recv(&mut self.segment)
            };
            match received {
                Ok(_) => {}
                Err(kcp::Error::RecvQueueEmpty) => self.shared.readable.notified().await,
                Err(error) => return Err(error.to_string()),
            }
        }
        let rest = &self.segment[self.taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}
