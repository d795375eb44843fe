//! Any program behind the link, TCP included: Linux network namespaces with TUN devices.
//!
//! ```text
//!  the client's namespace                          the server's, or the host's
//! ┌─────────────────────┐                          ┌─────────────────────┐
//! │ COMMAND ─ 10.77.0.1 │─▶ TUN ─▶ link ─▶ TUN ─▶ │ 10.77.0.2 ─ server  │
//! └─────────────────────┘◀─     ◀─ link ◀─     ◀─ └─────────────────────┘
//! ```
//!
//! The link, its clock, timer and report are the [`proxy`](crate::proxy)'s; the packets are whole
//! IP packets. Between two namespaces nothing but a user namespace is needed; to the host's
//! services, privileges.
//!
//! The room: `namespace`, `netlink` and `tun` set the two ends up, `forwarder` is the thread
//! between them, `ip` the headers that it reads. Everything about time and links is the proxy's.
//!
//! A program in the client's namespace reaches nothing but the server's side, unless that is a
//! host that forwards and translates addresses (ip-forward, masquerade).

mod forwarder;
mod ip;
mod namespace;
mod netlink;
mod tun;

use std::{
    io,
    net::Ipv4Addr,
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use self::{
    forwarder::{Forwarder, Setup},
    namespace::Namespace,
    tun::Tun,
};
use crate::{
    Direction, PerDirection,
    link_pair::LinkPairConfig,
    profile::NetworkProfile,
    proxy::{
        LatenessBudget, OnRecords, ProxyHandle, ProxyReport,
        clock::Clock,
        paced_links::{PacedLinks, PacedLinksConfig},
        reactor::Reactor,
        report::Snapshot,
    },
};

/// The place of the servers' end of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerLocation {
    /// A second namespace, in which a peer can be started.
    Namespace,
    /// The host, whose services are reached at the server's address. Needs privileges.
    Host,
}

/// The settings of an [`Exec`].
#[non_exhaustive]
pub struct ExecConfig {
    /// The two links.
    pub links: LinkPairConfig,
    /// The place of the servers' end.
    pub server: ServerLocation,
    /// Receives the record of every packet; `None` (the default) keeps none.
    pub on_records: Option<OnRecords>,
    /// Keep the packets' payloads in the records. Default no.
    pub capture: bool,
    /// The first of four addresses; the next is the client's, the one after it the server's.
    /// Default 10.77.0.0.
    pub addresses: Ipv4Addr,
    /// The lateness and the own drops that a valid run may have.
    pub budget: LatenessBudget,
}

impl ExecConfig {
    /// This network, with everything else as it is by default.
    pub fn new(network: &NetworkProfile, server: ServerLocation, seed: u64) -> Self {
        Self {
            links: LinkPairConfig::new(network, seed),
            server,
            on_records: None,
            capture: false,
            addresses: Ipv4Addr::new(10, 77, 0, 0),
            budget: LatenessBudget::DEFAULT,
        }
    }
}

/// A link that could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// Without privileges a user namespace is needed.
    #[error(
        "the system allows no user namespace ({0}): run as root, or allow them (sysctl \
         user.max_user_namespaces, kernel.unprivileged_userns_clone, \
         kernel.apparmor_restrict_unprivileged_userns)"
    )]
    UserNamespace(io::Error),
    /// No network namespace.
    #[error("the system allows no network namespace: {0}")]
    NetworkNamespace(io::Error),
    /// No TUN device.
    #[error("the system allows no TUN device ({0}): does /dev/net/tun exist, and may you open it?")]
    Tun(io::Error),
    /// The host's own namespace is not ours to change.
    #[error(
        "to reach this machine's own services netem must be root (CAP_NET_ADMIN and \
         CAP_SYS_ADMIN); without, give the other side a program of its own: --peer COMMAND"
    )]
    HostNeedsPrivileges,
    /// The host has the address already.
    #[error("this machine already has an address of {0}/30: give another --addresses")]
    AddressTaken(Ipv4Addr),
    /// The system refused something else.
    #[error("cannot {doing}: {source}")]
    System {
        /// The operation that failed.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

/// Two ends with a link between them. Dropping it stops the link.
#[derive(Debug)]
pub struct Exec {
    client: Namespace,
    server: Namespace,
    client_ip: Ipv4Addr,
    server_ip: Ipv4Addr,
    client_device: String,
    server_device: String,
    stop: Arc<AtomicBool>,
    handle: ProxyHandle,
    thread: Option<JoinHandle<Snapshot>>,
}

/// Permission to create namespaces.
#[derive(Debug)]
pub struct Permission(());

impl Permission {
    /// With privileges nothing is needed. Without, the whole process enters a user namespace, as
    /// the same user, which it can do only while it has a single thread.
    ///
    /// # Errors
    /// [`ExecError`] when the system does not allow it.
    pub fn acquire(server: ServerLocation) -> Result<Self, ExecError> {
        if !namespace::is_privileged() {
            // A user namespace does not help: the host's network belongs to the first one.
            if server == ServerLocation::Host {
                return Err(ExecError::HostNeedsPrivileges);
            }
            namespace::enter_user_namespace()?;
        }
        Ok(Self(()))
    }
}

impl Exec {
    /// Creates both ends and starts the link.
    ///
    /// # Errors
    /// [`ExecError`] when the system does not allow it.
    pub fn start(_permission: Permission, config: ExecConfig) -> Result<Self, ExecError> {
        // A /30 starts at a multiple of four, whatever was given.
        let base = u32::from(config.addresses) & !3;
        let (client_ip, server_ip) = (Ipv4Addr::from(base + 1), Ipv4Addr::from(base + 2));
        let links = PacedLinks::new(PacedLinksConfig {
            links: &config.links,
            on_records: config.on_records,
            capture: config.capture,
            budget: config.budget,
        });
        let client_to_server = config.links.client_to_server;
        let mtu = |direction| {
            let mtu_bytes = config.links.profiles[direction].mtu_bytes;
            u16::try_from(mtu_bytes).unwrap_or(u16::MAX)
        };
        let (client_mtu, server_mtu) = (mtu(client_to_server), mtu(client_to_server.opposite()));

        let client = Namespace::new("netem-client")?;
        // A new namespace has a loopback interface that is down, and many programs expect
        // `localhost`.
        client.run(tun::loopback_up)?;
        let client_tun = client.run(move || Tun::new(client_ip, client_mtu, true))?;
        let server = match config.server {
            ServerLocation::Namespace => Namespace::new("netem-server")?,
            // The route to the client's end would be the wrong interface's.
            ServerLocation::Host if has_address(base) => {
                return Err(ExecError::AddressTaken(Ipv4Addr::from(base)));
            }
            ServerLocation::Host => Namespace::current("netem-server")?,
        };
        // The host has a loopback interface and a default route of its own, which must stay.
        let is_apart = config.server == ServerLocation::Namespace;
        if is_apart {
            server.run(tun::loopback_up)?;
        }
        let server_tun = server.run(move || Tun::new(server_ip, server_mtu, is_apart))?;

        let system = |doing| move |source| ExecError::System { doing, source };
        let clock = Clock::new(Clock::instant());
        let (reactor, waker) = Reactor::new().map_err(system("wait for packets"))?;
        let (handle, messages) = ProxyHandle::new(waker);
        let stop = Arc::new(AtomicBool::new(false));
        let devices = match client_to_server {
            Direction::Forward => PerDirection {
                forward: client_tun.device,
                reverse: server_tun.device,
            },
            Direction::Reverse => PerDirection {
                forward: server_tun.device,
                reverse: client_tun.device,
            },
        };
        let forwarder = Forwarder::new(Setup {
            clock,
            reactor,
            messages,
            stop: Arc::clone(&stop),
            devices,
            links,
        });
        // Before the thread starts, so that what the system refuses is the caller's error.
        let forwarder = forwarder.map_err(system("wait for packets"))?;
        let thread = thread::Builder::new()
            .name("netem-exec".to_owned())
            .spawn(move || forwarder.run())
            .map_err(system("start a thread"))?;
        Ok(Self {
            client,
            server,
            client_ip,
            server_ip,
            client_device: client_tun.name,
            server_device: server_tun.name,
            stop,
            handle,
            thread: Some(thread),
        })
    }

    /// The address of programs on the client's side.
    pub const fn client_ip(&self) -> Ipv4Addr {
        self.client_ip
    }

    /// The address at which they find the server's side.
    pub const fn server_ip(&self) -> Ipv4Addr {
        self.server_ip
    }

    /// Starts a program on the client's side.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub fn spawn_client(&self, command: Command) -> io::Result<Child> {
        spawn(&self.client, command)
    }

    /// Starts a program on the server's side.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub fn spawn_server(&self, command: Command) -> io::Result<Child> {
        spawn(&self.server, command)
    }

    /// Runs `task` on the client's side. A socket that it opens stays there, whichever thread uses
    /// it.
    ///
    /// # Panics
    /// If `task` does.
    pub fn on_client<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> T {
        self.client.run(task)
    }

    /// Runs `task` on the server's side.
    ///
    /// # Panics
    /// If `task` does.
    pub fn on_server<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> T {
        self.server.run(task)
    }

    /// True when a program on the server's side waits for connections or datagrams.
    pub fn server_is_listening(&self) -> bool {
        self.server.run(namespace::is_listening)
    }

    /// A handle with which other threads ask for reports and change the links. Its reports lack the
    /// TUN devices' own drops.
    pub fn handle(&self) -> ProxyHandle {
        self.handle.clone()
    }

    /// Stops the link; packets still inside are lost.
    ///
    /// # Panics
    /// If the link's thread did, as it does when a record callback does.
    pub fn stop(mut self) -> ProxyReport {
        // The devices and their counters end with the link's thread: they are read before.
        let (client, server) = (self.client_device.clone(), self.server_device.clone());
        let client = self.client.run(move || namespace::dropped(&client));
        let server = self.server.run(move || namespace::dropped(&server));
        self.ask_to_stop();
        let mut snapshot = match self.thread.take().map(JoinHandle::join) {
            Some(Ok(snapshot)) => snapshot,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => unreachable!("the thread is taken only here and on drop"),
        };
        let dropped = client.ok().zip(server.ok());
        snapshot.counters.receive_overflow = dropped.map(|(client, server)| client + server);
        snapshot.report()
    }

    fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.handle.wake();
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        self.ask_to_stop();
        if let Some(thread) = self.thread.take() {
            // A panic there has already been printed; a second one here would abort.
            let _ = thread.join();
        }
    }
}

fn spawn(namespace: &Namespace, mut command: Command) -> io::Result<Child> {
    namespace.run(move || command.spawn())
}

/// True when an interface of this machine has an address among these four.
fn has_address(base: u32) -> bool {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let mut addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        address.as_sockaddr_in().map(|address| address.ip())
    });
    addresses.any(|ip| u32::from(ip) & !3 == base)
}
