//! Any program behind the link, TCP and all: Linux network namespaces with TUN devices.
//!
//! ```text
//!  namespace of its own                            another one, or the host's
//! ┌─────────────────────┐                          ┌─────────────────────┐
//! │ COMMAND ─ 10.77.0.1 │─▶ TUN ─▶ link ─▶ TUN ─▶ │ 10.77.0.2 ─ server  │
//! └─────────────────────┘◀─     ◀─ link ◀─     ◀─ └─────────────────────┘
//! ```
//!
//! The link, its clock, timer and report are the [`proxy`](crate::proxy)'s; the packets are whole
//! IP packets. Between two namespaces nothing but a user namespace is needed; to the host's
//! services, privileges.
//!
//! A program in the namespace has no way to anywhere but the far side; a host that forwards and
//! translates addresses (ip-forward, masquerade) can be its way further.

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
    Direction,
    profile::NetworkProfile,
    proxy::{
        LatenessBudget, OnRecords, ProxyHandle, ProxyReport,
        clock::Clock,
        lanes::{Lanes, LanesConfig, turned},
        reactor::Reactor,
        report::Snapshot,
    },
    recording::Recording,
};

/// Where the far end of the link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Far {
    /// In a second namespace, where a peer can be started.
    Namespace,
    /// On the host, whose services are reached at the far address. Needs privileges.
    Host,
}

/// What is to be between the two ends.
#[non_exhaustive]
pub struct ExecConfig {
    /// The network.
    pub network: NetworkProfile,
    /// Where the far end is.
    pub far: Far,
    /// Which of the links takes packets from the near side to the far one. Default forward.
    pub near_to_far: Direction,
    /// Seed of both links.
    pub seed: u64,
    /// What chance does, instead of what the seed says; `None` (the default) draws.
    pub tape: Option<Recording>,
    /// Gets every packet's fate; `None` (the default) records nothing.
    pub on_records: Option<OnRecords>,
    /// Are the records to have the packets' contents? Default no.
    pub capture: bool,
    /// The first of four addresses; the next is the near side's, the one after the far side's.
    /// Default 10.77.0.0.
    pub addresses: Ipv4Addr,
    /// What a valid run may be guilty of.
    pub budget: LatenessBudget,
}

impl ExecConfig {
    /// This network, with everything else as it is by default.
    pub const fn new(network: NetworkProfile, far: Far, seed: u64) -> Self {
        Self {
            network,
            far,
            near_to_far: Direction::Forward,
            seed,
            tape: None,
            on_records: None,
            capture: false,
            addresses: Ipv4Addr::new(10, 77, 0, 0),
            budget: LatenessBudget::DEFAULT,
        }
    }
}

/// Why there is no link to run a program behind.
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
    #[error("the system allows no TUN device ({0}): is there /dev/net/tun, and may you open it?")]
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
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Two ends with a link between them. Dropping it stops the link.
#[derive(Debug)]
pub struct Exec {
    near: Namespace,
    far: Namespace,
    near_ip: Ipv4Addr,
    far_ip: Ipv4Addr,
    /// Names of the devices, near and far.
    names: [String; 2],
    stop: Arc<AtomicBool>,
    handle: ProxyHandle,
    thread: Option<JoinHandle<Snapshot>>,
}

/// The leave to make namespaces.
#[derive(Debug)]
pub struct Leave(());

impl Leave {
    /// With privileges nothing is needed. Without, the whole process goes to a user namespace, as
    /// the same user, which it can do only while it has a single thread.
    ///
    /// # Errors
    /// [`ExecError`] when the system does not allow it.
    pub fn get(far: Far) -> Result<Self, ExecError> {
        if !namespace::is_privileged() {
            if far == Far::Host {
                return Err(ExecError::HostNeedsPrivileges);
            }
            namespace::enter_user_namespace()?;
        }
        Ok(Self(()))
    }
}

impl Exec {
    /// Makes both ends and starts the link.
    ///
    /// # Errors
    /// [`ExecError`] when the system does not allow it.
    pub fn start(_leave: Leave, config: ExecConfig) -> Result<Self, ExecError> {
        let base = u32::from(config.addresses) & !3;
        let (near_ip, far_ip) = (Ipv4Addr::from(base + 1), Ipv4Addr::from(base + 2));
        let (forward, reverse) = (config.network.forward(), config.network.reverse());
        let lanes = Lanes::new(LanesConfig {
            forward: &forward,
            reverse: &reverse,
            client_to_server: config.near_to_far,
            seed: config.seed,
            tape: config.tape.as_ref(),
            on_records: config.on_records,
            capture: config.capture,
            budget: config.budget,
        });
        let mtus = turned(config.near_to_far, [&forward, &reverse]);
        let [near_mtu, far_mtu] =
            mtus.map(|profile| u16::try_from(profile.mtu_bytes).unwrap_or(u16::MAX));

        let near = Namespace::new("netem-near")?;
        near.run(tun::loopback_up)?;
        let near_tun = near.run(move || Tun::new(near_ip, near_mtu, true))?;
        let far = match config.far {
            Far::Namespace => Namespace::new("netem-far")?,
            Far::Host if has_address(base) => {
                return Err(ExecError::AddressTaken(Ipv4Addr::from(base)));
            }
            Far::Host => Namespace::current("netem-far")?,
        };
        let apart = config.far == Far::Namespace;
        if apart {
            far.run(tun::loopback_up)?;
        }
        let far_tun = far.run(move || Tun::new(far_ip, far_mtu, apart))?;

        let system = |doing| move |source| ExecError::System { doing, source };
        let clock = Clock::new(Clock::instant());
        let (reactor, waker) = Reactor::new().map_err(system("wait for packets"))?;
        let (handle, messages) = ProxyHandle::new(waker);
        let stop = Arc::new(AtomicBool::new(false));
        let forwarder = Forwarder::new(Setup {
            clock,
            reactor,
            messages,
            stop: Arc::clone(&stop),
            devices: [near_tun.device, far_tun.device],
            lanes,
        });
        let forwarder = forwarder.map_err(system("wait for packets"))?;
        let thread = thread::Builder::new()
            .name("netem-exec".to_owned())
            .spawn(move || forwarder.run())
            .map_err(system("start a thread"))?;
        Ok(Self {
            near,
            far,
            near_ip,
            far_ip,
            names: [near_tun.name, far_tun.name],
            stop,
            handle,
            thread: Some(thread),
        })
    }

    /// The address of programs on the near side.
    pub const fn near_ip(&self) -> Ipv4Addr {
        self.near_ip
    }

    /// The address at which they find the far side.
    pub const fn far_ip(&self) -> Ipv4Addr {
        self.far_ip
    }

    /// Starts a program on the near side.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub fn spawn_near(&self, command: Command) -> io::Result<Child> {
        spawn(&self.near, command)
    }

    /// Starts a program on the far side.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub fn spawn_far(&self, command: Command) -> io::Result<Child> {
        spawn(&self.far, command)
    }

    /// Does something on the near side: a socket made there stays there, whoever uses it.
    ///
    /// # Panics
    /// If `job` does.
    pub fn on_near<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        self.near.run(job)
    }

    /// Does something on the far side.
    ///
    /// # Panics
    /// If `job` does.
    pub fn on_far<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        self.far.run(job)
    }

    /// Is anybody on the far side waiting for connections or datagrams?
    pub fn far_is_listening(&self) -> bool {
        self.far.run(namespace::is_listening)
    }

    /// A way to ask the link and change it, for other threads. Its reports lack the TUN devices'
    /// own drops.
    pub fn handle(&self) -> ProxyHandle {
        self.handle.clone()
    }

    /// Stops the link; packets still inside are gone.
    ///
    /// # Panics
    /// If the link's thread did, as it does when a record callback does.
    pub fn stop(mut self) -> ProxyReport {
        // The devices, and their books, go with the link's thread.
        let [near, far] = self.names.clone();
        let near = self.near.run(move || namespace::dropped(&near));
        let far = self.far.run(move || namespace::dropped(&far));
        self.ask_to_stop();
        let mut snapshot = match self.thread.take().map(JoinHandle::join) {
            Some(Ok(snapshot)) => snapshot,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => unreachable!("the thread is taken only here and on drop"),
        };
        snapshot.counters.receive_overflow = near.ok().zip(far.ok()).map(|(near, far)| near + far);
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

/// Does an interface of this machine have an address among these four?
fn has_address(base: u32) -> bool {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let mut addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        address.as_sockaddr_in().map(|address| address.ip())
    });
    addresses.any(|ip| u32::from(ip) & !3 == base)
}
