//! A virtual host: an address, ports, tasks and a source of randomness of its own.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::{
    Shared, lock,
    network::{Network, SocketId},
    socket::Socket,
    timers::Timer,
};
use crate::Time;

/// The first ephemeral port (RFC 6335 §6).
const EPHEMERAL_FIRST: u16 = 49_152;

/// In the key of a host's generator, where a link has its direction.
const HOST_KEY_BYTE: u8 = 2;

/// On which end of the pair of links a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The clients' end.
    Client,
    /// The servers' end.
    Server,
}

/// Why a host cannot have an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Another host has it.
    #[error("{0} is another host's address")]
    InUse(IpAddr),
    /// It is not the address of one host.
    #[error("{0} cannot be a host's address")]
    NotAHost(IpAddr),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HostId(u32);

impl HostId {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A host between two kills.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Incarnation {
    pub(super) host: HostId,
    pub(super) epoch: u32,
}

/// A host's part of the network.
pub(super) struct HostState {
    pub(super) side: Side,
    pub(super) ip: IpAddr,
    pub(super) epoch: u32,
    pub(super) is_up: bool,
    ports: BTreeMap<u16, SocketId>,
    ephemeral_next: u16,
    rng: ChaCha8Rng,
}

impl HostState {
    fn new(side: Side, ip: IpAddr, seed: u64, id: HostId) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8] = HOST_KEY_BYTE;
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(u64::from(id.0));
        Self {
            side,
            ip,
            epoch: 0,
            is_up: true,
            ports: BTreeMap::new(),
            ephemeral_next: EPHEMERAL_FIRST,
            rng,
        }
    }

    pub(super) fn socket_at(&self, port: u16) -> Option<SocketId> {
        self.ports.get(&port).copied()
    }

    pub(super) fn claim(&mut self, port: u16, id: SocketId) {
        let before = self.ports.insert(port, id);
        debug_assert_eq!(before, None, "port {port} is taken");
    }

    pub(super) fn release(&mut self, port: u16) {
        self.ports.remove(&port);
    }

    pub(super) fn sockets(&self) -> Vec<SocketId> {
        self.ports.values().copied().collect()
    }

    /// The next free ephemeral port. A port just given back is the last to be taken again.
    fn ephemeral(&mut self) -> Option<u16> {
        for _ in EPHEMERAL_FIRST..=u16::MAX {
            let port = self.ephemeral_next;
            self.ephemeral_next = port.checked_add(1).unwrap_or(EPHEMERAL_FIRST);
            if !self.ports.contains_key(&port) {
                return Some(port);
            }
        }
        None
    }
}

/// A virtual host; a handle, cheap to clone.
///
/// Its randomness follows from the world's seed and from how many hosts were added before it.
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
    id: HostId,
}

impl Host {
    pub(super) fn add(shared: &Arc<Shared>, side: Side, ip: IpAddr) -> Result<Self, AddressError> {
        let mut network = lock(&shared.network);
        check_free(&network, ip)?;
        let index = u32::try_from(network.hosts.len()).expect("fewer than 2^32 hosts");
        let id = HostId(index);
        network
            .hosts
            .push(HostState::new(side, ip, shared.seed, id));
        network.assign(ip, id);
        drop(network);
        Ok(Self {
            shared: Arc::clone(shared),
            id,
        })
    }

    /// The present time.
    pub fn now(&self) -> Time {
        self.shared.now()
    }

    /// A timer that fires at `at`.
    pub fn timer(&self, at: Time) -> Timer {
        Timer::new(Arc::clone(&self.shared), at)
    }

    /// Waits for `ns` nanoseconds from now.
    pub fn sleep_ns(&self, ns: u64) -> Timer {
        self.timer(self.now().plus_nanos(ns))
    }

    /// Runs a future to its end beside everything else, or until the host is killed; drops it
    /// at once if the host is down. A panic in it ends the run.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.spawn_boxed(Box::pin(future));
    }

    /// [`spawn`](Self::spawn) for a future that is boxed already.
    pub fn spawn_boxed(&self, future: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) {
        let network = lock(&self.shared.network);
        let state = &network.hosts[self.id.index()];
        let (is_up, epoch) = (state.is_up, state.epoch);
        drop(network);
        if is_up {
            let host = self.id;
            self.shared.inbox.spawn(Incarnation { host, epoch }, future);
        }
    }

    /// Opens a UDP socket. An unspecified address, of either IP version, is the host's own; port
    /// 0 takes any free port.
    ///
    /// # Errors
    /// `AddrNotAvailable` for another address than the host's, `AddrInUse` for a port that is
    /// taken or when all are, `NetworkDown` when the host is down.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<Socket> {
        let error = |kind, what: &str| io::Error::new(kind, format!("cannot bind {addr}: {what}"));
        let mut network = lock(&self.shared.network);
        let state = &mut network.hosts[self.id.index()];
        if !state.is_up {
            return Err(error(io::ErrorKind::NetworkDown, "the host is down"));
        }
        if !addr.ip().is_unspecified() && addr.ip() != state.ip {
            let what = "not an address of this host";
            return Err(error(io::ErrorKind::AddrNotAvailable, what));
        }
        let port = match addr.port() {
            0 => state.ephemeral(),
            port => Some(port).filter(|port| !state.ports.contains_key(port)),
        };
        let Some(port) = port else {
            return Err(error(io::ErrorKind::AddrInUse, "the port is taken"));
        };
        let id = network.open(self.id, port);
        drop(network);
        Ok(Socket::new(Arc::clone(&self.shared), id))
    }

    /// Fills `bytes` from the host's own random stream.
    pub fn fill_random(&self, bytes: &mut [u8]) {
        let mut network = lock(&self.shared.network);
        network.hosts[self.id.index()].rng.fill_bytes(bytes);
    }

    /// The host's address.
    pub fn ip(&self) -> IpAddr {
        lock(&self.shared.network).hosts[self.id.index()].ip
    }

    /// Which end of the links it is on.
    pub fn side(&self) -> Side {
        lock(&self.shared.network).hosts[self.id.index()].side
    }

    /// Is it up? False between [`kill`](Self::kill) and [`restart`](Self::restart).
    pub fn is_up(&self) -> bool {
        lock(&self.shared.network).hosts[self.id.index()].is_up
    }

    /// Takes the host down as a power cut does: closes its sockets, drops what they had received,
    /// and drops its tasks before another one runs (one that kills its own host runs on to its
    /// next wait). What it had sent stays on its way. Nothing happens to a host that is down.
    pub fn kill(&self) {
        let mut wakers = Vec::new();
        let mut network = lock(&self.shared.network);
        if !network.hosts[self.id.index()].is_up {
            return;
        }
        let killed = network.kill(self.id, &mut wakers);
        drop(network);
        self.shared.inbox.kill(killed);
        // Handles held outside the host learn that their socket is closed.
        for waker in wakers {
            waker.wake();
        }
    }

    /// Brings a killed host up again, without sockets or tasks, with the same address.
    pub fn restart(&self) {
        lock(&self.shared.network).hosts[self.id.index()].is_up = true;
    }

    /// Gives the host another address, as roaming or a rebound NAT does. Its sockets follow:
    /// they send from the new address and receive at it; what comes to the old one is dropped.
    ///
    /// # Errors
    /// [`AddressError`] when another host has it, or no host can.
    pub fn set_ip(&self, ip: IpAddr) -> Result<(), AddressError> {
        let mut network = lock(&self.shared.network);
        let old = network.hosts[self.id.index()].ip;
        if ip != old {
            check_free(&network, ip)?;
            network.unassign(old);
            network.assign(ip, self.id);
            network.hosts[self.id.index()].ip = ip;
        }
        Ok(())
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("ip", &self.ip())
            .field("side", &self.side())
            .finish_non_exhaustive()
    }
}

fn check_free(network: &Network, ip: IpAddr) -> Result<(), AddressError> {
    if ip.is_unspecified() || ip.is_multicast() {
        return Err(AddressError::NotAHost(ip));
    }
    match network.host_at(ip) {
        Some(_) => Err(AddressError::InUse(ip)),
        None => Ok(()),
    }
}
