//! The virtual world: hosts, UDP sockets and two links on one virtual clock.
//!
//! ```text
//! client ─┐                                   ┌─ server
//! client ─┼──▶ link from clients to servers ──┼─ server
//! client ─┘ ◀─ link from servers to clients ──┘
//! ```
//!
//! All hosts share the one pair of links, so their flows share the bottleneck. Hosts of one side
//! reach each other directly.
//!
//! One thread runs it all: every task that is ready, in the order in which they became so; then
//! the clock jumps to the next event. At the same instant packets come before timers, timers in
//! the order in which they were set. Nothing else decides the order, so a seed gives the same run,
//! byte for byte, on every machine. The handles ([`Host`], [`Socket`], [`Timer`], [`Links`]) are
//! `Send` and `Sync` because code that uses them demands it; locks are never contended.
//!
//! The room: `network` (addresses, sockets, links), `executor` and `timers` hold the state, `run`
//! is the loop over them, and the handles only lock and call. A change of the order in which
//! anything here happens changes every run: `tests/world_*` and the gate will say so.
//!
//! ```
//! use lftp_netem::{
//!     profile::NetworkProfile,
//!     world::World,
//! };
//!
//! let network = NetworkProfile::from_toml_str("rate = \"8mbit\"\ndelay = \"20ms\"")?;
//! let mut world = World::new(&network, 1);
//! let client = world.add_client("10.0.0.1".parse()?)?;
//! let server = world.add_server("10.0.1.1".parse()?)?;
//!
//! let echo = server.bind("0.0.0.0:7".parse()?)?;
//! server.spawn(async move {
//!     let mut payload = Vec::new();
//!     while let Ok(from) = echo.recv(&mut payload).await {
//!         let _ = echo.try_send(from.source, 0, &payload, None);
//!     }
//! });
//!
//! let socket = client.bind("0.0.0.0:0".parse()?)?;
//! let mut answer = Vec::new();
//! world.block_on(async {
//!     socket.try_send("10.0.1.1:7".parse().unwrap(), 0, &[0; 972], None)?;
//!     socket.recv(&mut answer).await
//! })??;
//! // 1 ms to send, 20 ms to travel, and as much back.
//! assert_eq!(world.now().as_nanos(), 42_000_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod executor;
mod host;
mod host_state;
mod id;
mod links;
mod network;
mod open_socket;
mod pool;
mod receive_queue;
mod run;
mod socket;
mod stats;
mod timers;

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

use self::{
    executor::{Executor, RunQueue},
    network::Network,
    timers::Timers,
};
use crate::{Direction, Time, link_pair::LinkPairConfig, profile::NetworkProfile};

pub use self::{
    host::{AddressError, Host},
    links::Links,
    receive_queue::Run,
    run::WorldError,
    socket::{DatagramMeta, PAYLOAD_BYTES_MAX, Socket},
    stats::WorldStats,
    timers::Timer,
};

/// The settings of a [`World`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorldConfig {
    /// The two links. Their seed is that of every host as well.
    pub links: LinkPairConfig,
    /// Time that a packet between hosts of one side takes. Default 1 µs: next to nothing, but
    /// not 0, so that two such hosts cannot exchange packets without time passing.
    pub local_delay: Duration,
    /// The bound of a socket's receive queue. Default 8 MiB, what LFTP's real sockets ask for.
    pub receive_queue_bytes: usize,
    /// Keep a record of every packet on the links. Default no.
    pub recording: bool,
    /// No run goes past this. Default [`Time::MAX`]: no limit.
    pub time_limit: Time,
}

impl WorldConfig {
    /// A world over this network.
    pub fn new(network: &NetworkProfile, seed: u64) -> Self {
        Self::from_links(LinkPairConfig::new(network, seed))
    }

    /// A world over these links.
    pub const fn from_links(links: LinkPairConfig) -> Self {
        Self {
            links,
            local_delay: Duration::from_micros(1),
            receive_queue_bytes: 8 << 20,
            recording: false,
            time_limit: Time::MAX,
        }
    }
}

/// State that the handles share. Where both locks are taken, `network` comes first; foreign code
/// (wakers, futures being dropped) runs under neither.
struct Shared {
    now_ns: AtomicU64,
    seed: u64,
    network: Mutex<Network>,
    timers: Mutex<Timers>,
    run_queue: Arc<RunQueue>,
}

impl Shared {
    // Relaxed will do: whatever else two threads may share goes through the locks.
    fn now(&self) -> Time {
        Time::from_nanos(self.now_ns.load(Ordering::Relaxed))
    }

    fn set_now(&self, now: Time) {
        self.now_ns.store(now.as_nanos(), Ordering::Relaxed);
    }
}

/// Locks even what a panic has poisoned: the run that panicked is over, but its handles must
/// still drop. `parking_lot` knows no poison, but would add seven packages to the library's 26
/// for this one function, and these locks are never contended.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The world. Its clock begins at 0 and moves only in [`block_on`](Self::block_on),
/// [`run_until`](Self::run_until) and [`run_until_idle`](Self::run_until_idle). Dropping it drops
/// every task.
pub struct World {
    shared: Arc<Shared>,
    executor: Executor,
    client_to_server: Direction,
    time_limit: Time,
    /// Polls and events since the clock last moved.
    turns: u64,
    /// Empty between events; kept for its allocation.
    wakers: Vec<Waker>,
}

impl World {
    /// A world over this network, with the defaults of [`WorldConfig`].
    pub fn new(network: &NetworkProfile, seed: u64) -> Self {
        Self::with_config(&WorldConfig::new(network, seed))
    }

    /// A world like this.
    pub fn with_config(config: &WorldConfig) -> Self {
        let executor = Executor::new();
        let shared = Arc::new(Shared {
            now_ns: AtomicU64::new(0),
            seed: config.links.seed,
            network: Mutex::new(Network::new(config)),
            timers: Mutex::new(Timers::default()),
            run_queue: Arc::clone(executor.run_queue()),
        });
        let world = Self {
            shared,
            executor,
            client_to_server: config.links.client_to_server,
            time_limit: config.time_limit,
            turns: 0,
            wakers: Vec::new(),
        };
        world.links().keep_records(config.recording);
        world
    }

    /// Adds a host on the clients' side.
    ///
    /// # Errors
    /// [`AddressError`] when another host has the address, or no host can.
    pub fn add_client(&mut self, ip: IpAddr) -> Result<Host, AddressError> {
        Host::add(&self.shared, self.client_to_server, ip)
    }

    /// Adds a host on the servers' side.
    ///
    /// # Errors
    /// [`AddressError`] when another host has the address, or no host can.
    pub fn add_server(&mut self, ip: IpAddr) -> Result<Host, AddressError> {
        Host::add(&self.shared, self.client_to_server.opposite(), ip)
    }

    /// The current virtual time.
    pub fn now(&self) -> Time {
        self.shared.now()
    }

    /// A handle to the two links.
    pub fn links(&self) -> Links {
        Links::new(Arc::clone(&self.shared))
    }

    /// No run goes past `limit` from now on.
    pub const fn set_time_limit(&mut self, limit: Time) {
        self.time_limit = limit;
    }

    /// Counts of what the world has done so far.
    pub fn stats(&self) -> WorldStats {
        let mut stats = self.links().stats();
        stats.polls = self.executor.polls;
        stats.timers_fired = lock(&self.shared.timers).fired;
        stats
    }
}

impl Drop for World {
    /// Tasks hold handles, handles hold what the tasks wait in: the circle must be cut.
    fn drop(&mut self) {
        self.executor.shut_down();
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
