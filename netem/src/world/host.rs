//! A virtual host: an address, sockets, tasks and random numbers of its own.

use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use super::{
    Shared, host_state::HostState, id::HostId, lock, network::Network, socket::Socket,
    timers::Timer,
};
use crate::{Direction, Time};

/// An address that a host cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Another host has the address.
    #[error("{0} is another host's address")]
    InUse(IpAddr),
    /// An unspecified or multicast address.
    #[error("{0} cannot be a host's address")]
    NotAHost(IpAddr),
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
    pub(super) fn add(
        shared: &Arc<Shared>,
        outbound: Direction,
        ip: IpAddr,
    ) -> Result<Self, AddressError> {
        let mut network = lock(&shared.network);
        // Checked under the same lock under which it is assigned.
        check_free(&network, ip)?;
        let index = u32::try_from(network.hosts.len()).expect("fewer than 2^32 hosts");
        let id = HostId(index);
        network
            .hosts
            .push(HostState::new(outbound, ip, shared.seed, id));
        network.assign(ip, id);
        drop(network);
        Ok(Self {
            shared: Arc::clone(shared),
            id,
        })
    }

    /// The current virtual time.
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
        // The incarnation of now: a task spawned before a kill must not run after the restart.
        let (is_up, owner) = (state.is_up, state.incarnation(self.id));
        drop(network);
        if is_up {
            self.shared.run_queue.spawn(owner, future);
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
        // `0.0.0.0` and `[::]` are both taken for the host's one address, of whichever version it
        // is.
        if !addr.ip().is_unspecified() && addr.ip() != state.ip {
            let what = "not an address of this host";
            return Err(error(io::ErrorKind::AddrNotAvailable, what));
        }
        let Some(port) = state.choose_port(addr.port()) else {
            return Err(error(io::ErrorKind::AddrInUse, "the port is taken"));
        };
        let id = network.open(self.id, port);
        drop(network);
        Ok(Socket::new(Arc::clone(&self.shared), id))
    }

    /// Fills `bytes` from the host's own random stream.
    pub fn fill_random(&self, bytes: &mut [u8]) {
        let mut network = lock(&self.shared.network);
        network.hosts[self.id.index()].fill_random(bytes);
    }

    /// The host's address.
    pub fn ip(&self) -> IpAddr {
        lock(&self.shared.network).hosts[self.id.index()].ip
    }

    /// The direction of the link that carries what the host sends to the other side.
    pub fn outbound(&self) -> Direction {
        lock(&self.shared.network).hosts[self.id.index()].outbound
    }

    /// True except between [`kill`](Self::kill) and [`restart`](Self::restart).
    pub fn is_up(&self) -> bool {
        lock(&self.shared.network).hosts[self.id.index()].is_up
    }

    /// Takes the host down as a power cut does: closes its sockets, drops what they had received,
    /// and drops its tasks before another one runs (one that kills its own host runs on to its
    /// next wait). What it had sent stays in flight. A host that is down stays as it is.
    pub fn kill(&self) {
        let mut wakers = Vec::new();
        let mut network = lock(&self.shared.network);
        if !network.hosts[self.id.index()].is_up {
            return;
        }
        // Sockets first, then tasks: a task that is woken in between finds its socket closed, not
        // its peer's next packet.
        let killed = network.kill(self.id, &mut wakers);
        drop(network);
        self.shared.run_queue.kill(killed);
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
            .field("outbound", &self.outbound())
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
