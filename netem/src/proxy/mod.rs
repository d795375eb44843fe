//! Network emulation in real time: a UDP proxy between real sockets.
//!
//! ```text
//! client ── listened port ─▶ link ─▶ upstream socket ── server
//!        ◀───────────────── link ◀─
//! ```
//!
//! All clients and ports share one pair of links, so they share the bottleneck. Each client has,
//! per listened port, an upstream socket of its own. One thread does everything; it meets its
//! deadlines with a timer that counts nanoseconds and spins only for the last few microseconds.
//!
//! **Lateness.** A link says when a packet is due, the proxy measures when it was sent. The
//! difference, and every packet lost by the proxy rather than by the link, goes into the
//! [`ProxyReport`], which calls a run invalid when either exceeds the [`LatenessBudget`].
//!
//! In packets and records a client is known by its own address and the server by the listened
//! one: the addresses the client sees.
//!
//! The room: `worker` is the thread, `paced_links` holds the links, `nat` the clients, `reactor`
//! the wait; [`Proxy`] and [`ProxyHandle`] only start, ask and stop it. Nothing here decides what
//! happens to a packet: that is the [`LinkPair`](crate::link_pair::LinkPair)'s. `exec` shares all
//! but `worker`, `nat` and `socket`.
//!
//! Limits: a datagram larger than the outgoing interface's MTU is refused, not fragmented, and
//! counts as a send error. A link without a rate has no queue limit and holds what its delay
//! demands.
//!
//! ```
//! use std::net::UdpSocket;
//! use lftp_netem::{profile::NetworkProfile, proxy::{Proxy, ProxyConfig}};
//!
//! let (client, server) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
//! let network = NetworkProfile::from_toml_str("delay = '1ms'")?;
//! let mut config = ProxyConfig::new(&network, 1);
//! config.listen = vec![("127.0.0.1:0".parse()?, server.local_addr()?)];
//! let proxy = Proxy::start(config)?;
//! client.send_to(b"hello", proxy.listen_addrs()[0])?;
//! let mut buffer = [0; 16];
//! assert_eq!(server.recv(&mut buffer)?, 5);
//! assert_eq!(proxy.stop().forward.delivered, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod clock;
pub(crate) mod handle;
pub(crate) mod meter;
mod nat;
mod overflow;
pub(crate) mod paced_links;
mod pacer;
mod port;
pub(crate) mod reactor;
pub(crate) mod report;
mod send_batch;
mod socket;
mod worker;

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use self::{
    clock::Clock,
    paced_links::{PacedLinks, PacedLinksConfig},
    port::Port,
    reactor::{Reactor, Waker},
    socket::Socket,
    worker::{Setup, Worker},
};
use crate::{link_pair::LinkPairConfig, profile::NetworkProfile, record::PacketRecord};

pub use self::{
    handle::{ProxyHandle, Stopped},
    meter::Lateness,
    report::{LatenessBudget, ProxyCounters, ProxyReport},
};

/// Receives packet records, on the proxy's thread, in batches and when there is little to do.
///
/// It should return quickly: hand them to a channel or a buffer, write files elsewhere.
pub type OnRecords = Box<dyn FnMut(&[PacketRecord]) + Send>;

/// The settings of a [`Proxy`].
#[non_exhaustive]
pub struct ProxyConfig {
    /// Addresses to listen on, each with the server behind it. Port 0 picks a free one.
    pub listen: Vec<(SocketAddr, SocketAddr)>,
    /// The two links.
    pub links: LinkPairConfig,
    /// The lateness and the own drops that a valid run may have.
    pub budget: LatenessBudget,
    /// Receives the record of every packet; `None` (the default) keeps none.
    pub on_records: Option<OnRecords>,
    /// Keep the packets' payloads in the records. Default no: it is a copy of each.
    pub capture: bool,
    /// Time zero of the records, to share one with other clocks of the run. Default: the start.
    pub origin: Option<Instant>,
    /// Clients per listened port and client address at once. Default 512, within the usual
    /// limit of 1024 open files; one more than fits is refused and counted as an own drop.
    pub flows_max: usize,
    /// Time without a packet from or to a client after which it is forgotten. Default two minutes
    /// (RFC 4787 §4.3).
    pub flow_idle: Duration,
    /// Interval at which each client gets another port towards its server, as behind a NAT that
    /// forgets (RFC 4787 §4.1): what the server still sends to the old one is lost. For a while
    /// each client then has two descriptors. Default never.
    pub rebind_every: Option<Duration>,
    /// Socket buffers to ask for. Default 8 MiB, which at 1 Gbit/s is some 30 ms off the
    /// processor.
    pub socket_buffer_bytes: usize,
}

impl ProxyConfig {
    /// A proxy without listened ports (add to `listen`) over this network.
    pub fn new(network: &NetworkProfile, seed: u64) -> Self {
        Self {
            listen: Vec::new(),
            links: LinkPairConfig::new(network, seed),
            budget: LatenessBudget::default(),
            on_records: None,
            capture: false,
            origin: None,
            flows_max: 512,
            flow_idle: Duration::from_secs(120),
            rebind_every: None,
            socket_buffer_bytes: 8 << 20,
        }
    }
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyConfig")
            .field("listen", &self.listen)
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}

/// A proxy that did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// Nothing to listen on.
    #[error("the proxy has no address to listen on")]
    NothingToListenOn,
    /// A target can only be an address something can be sent to.
    #[error("cannot send on to {0}: it needs an address and a port")]
    BadTarget(SocketAddr),
    /// A listened address could not be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The system refused something else that the proxy cannot do without.
    #[error("cannot {doing}: {source}")]
    System {
        /// The operation that failed.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

/// A running proxy. Dropping it stops it.
#[derive(Debug)]
pub struct Proxy {
    listen_addrs: Vec<SocketAddr>,
    clock: Clock,
    stop: Arc<AtomicBool>,
    waker: Waker,
    handle: ProxyHandle,
    thread: Option<JoinHandle<ProxyReport>>,
}

impl Proxy {
    /// Binds every address and starts the proxy's thread.
    ///
    /// # Errors
    /// [`ProxyError`] when an address cannot be listened on or sent to, or the system has no
    /// thread or descriptors left.
    pub fn start(config: ProxyConfig) -> Result<Self, ProxyError> {
        let system = |doing| move |source| ProxyError::System { doing, source };
        let clock = Clock::new(config.origin.unwrap_or_else(Clock::instant));
        // Everything that can fail comes before the thread: an error then reaches the caller, not a
        // log.
        let ports = bind(&config)?;
        let (mut reactor, waker) = Reactor::new().map_err(system("wait for sockets"))?;
        for (token, port) in (0..).zip(&ports) {
            let added = reactor.add(port.socket.inner(), token);
            added.map_err(system("wait for a socket"))?;
        }
        let listen_addrs = ports.iter().map(|port| port.socket.local()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let (handle, messages) = ProxyHandle::new(waker.clone());
        let worker = Worker::new(Setup {
            warnings: warnings(&config, &ports),
            links: PacedLinks::new(PacedLinksConfig {
                links: &config.links,
                on_records: config.on_records,
                capture: config.capture,
                budget: config.budget,
            }),
            clock,
            reactor,
            messages,
            stop: Arc::clone(&stop),
            ports,
            buffer_bytes: config.socket_buffer_bytes,
            flows_max: config.flows_max,
            idle_ns: nanos(config.flow_idle),
            rebind_ns: config.rebind_every.map(|every| nanos(every).max(1)),
        });
        let thread = thread::Builder::new()
            .name("netem-proxy".to_owned())
            .spawn(move || worker.run())
            .map_err(system("start a thread"))?;
        Ok(Self {
            listen_addrs,
            clock,
            stop,
            waker,
            handle,
            thread: Some(thread),
        })
    }

    /// The addresses that it listens on, in the order of the configuration, with the bound ports.
    pub fn listen_addrs(&self) -> Vec<SocketAddr> {
        self.listen_addrs.clone()
    }

    /// A handle with which other threads ask for reports and change the links.
    pub fn handle(&self) -> ProxyHandle {
        self.handle.clone()
    }

    /// Time zero of the packet records.
    pub const fn origin(&self) -> Instant {
        self.clock.origin()
    }

    /// Stops the proxy; packets still inside the links are lost. The last records are delivered
    /// before this returns.
    ///
    /// # Panics
    /// If the proxy's thread did, as it does when a record callback does.
    pub fn stop(mut self) -> ProxyReport {
        self.ask_to_stop();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(report)) => report,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => unreachable!("the thread is taken only here and on drop"),
        }
    }

    fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ask_to_stop();
        if let Some(thread) = self.thread.take() {
            // A panic there has already been printed; a second one here would abort.
            let _ = thread.join();
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn bind(config: &ProxyConfig) -> Result<Vec<Port>, ProxyError> {
    if config.listen.is_empty() {
        return Err(ProxyError::NothingToListenOn);
    }
    let mut ports = Vec::with_capacity(config.listen.len());
    for &(address, target) in &config.listen {
        // Systems take such an address for a destination in different ways; Linux would send to
        // itself.
        if target.port() == 0 || target.ip().is_unspecified() {
            return Err(ProxyError::BadTarget(target));
        }
        let socket = Socket::listen(address, config.socket_buffer_bytes)
            .map_err(|source| ProxyError::Bind { address, source })?;
        ports.push(Port { socket, target });
    }
    Ok(ports)
}

fn warnings(config: &ProxyConfig, ports: &[Port]) -> Vec<String> {
    let mut warnings = Vec::new();
    let granted = ports.iter().map(|port| port.socket.receive_buffer_bytes());
    let granted = granted.min().unwrap_or(0);
    if granted < config.socket_buffer_bytes {
        let asked = config.socket_buffer_bytes;
        let remedy = if cfg!(target_os = "linux") {
            format!(": sysctl -w net.core.rmem_max={asked} net.core.wmem_max={asked}")
        } else {
            String::new()
        };
        warnings.push(format!(
            "the system limits socket buffers to {granted} bytes of the {asked} asked for; at \
             high rates packets may be dropped before the proxy sees them{remedy}"
        ));
    }
    if cfg!(not(target_os = "linux")) {
        warnings.push(
            "on this system arrivals carry no time stamp and dropped datagrams no count: \
             lateness is reported too small by up to 0.25 ms"
                .to_owned(),
        );
    }
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    warnings
}
