//! The server: one control port, a pool of data ports, a task for everything that waits.
//!
//! ```text
//! accept (control port) ── greet ── session ── grants ──┐ lease, token
//! accept (data ports) ──── greet ── token ── transfer ◄─┘
//! ```
//!
//! A transfer's task owns the lease of its port, the file, and the wait for its data
//! connection; however the task ends, all three are given back.

mod accept;
mod access;
mod claims;
mod config;
mod holders;
mod log;
mod port_pool;
mod put;
mod quota;
mod receptions;
mod session;
mod tasks;
mod transfer;
mod tree;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use lftp_transport::{
    AcceptError, BindError, EndpointMetrics, Identity, Listener, MetricsHandle, Runtime, timeout,
};
use tokio::sync::Semaphore;

use self::access::Door;
pub use self::access::{Access, Admission, Admit, InvalidRights, Place, Rights};
use self::claims::Claims;
pub use self::config::ServerConfig;
use self::holders::Holders;
pub use self::port_pool::PortPool;
use self::receptions::Receptions;
use self::tasks::{Stage, Tasks};
use crate::protocol::DataPorts;
use crate::protocol::channel;
use crate::store::Store;
use crate::transfer::Delivered;

/// Why a server cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A port cannot be had.
    #[error("{0}; {advice}", advice = advice(.0))]
    Bind(#[from] BindError),
    /// A port that was had is gone.
    #[error("a port is gone: {0}")]
    Accept(#[from] AcceptError),
}

fn advice(error: &BindError) -> &'static str {
    match error.source.kind() {
        io::ErrorKind::AddrInUse => "is another server running?",
        io::ErrorKind::AddrNotAvailable => "no network interface here has that address",
        io::ErrorKind::PermissionDenied => "that port is reserved",
        _ => "it cannot be used here",
    }
}

/// Connections that a port has room for beside its clients and transfers.
const SPARE_CONNECTIONS: usize = 256;

/// A server with its ports bound.
#[derive(Debug)]
pub struct Server {
    context: Arc<Context>,
    control: Listener,
    data: Vec<Listener>,
}

/// A hold on a running server. Clones hold the same one.
#[derive(Clone)]
pub struct ServerHandle {
    tasks: Tasks,
    pool: PortPool,
    metrics: Arc<[MetricsHandle]>,
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

/// What the server's tasks share.
#[derive(Debug)]
struct Context {
    runtime: Arc<dyn Runtime>,
    /// All that is shared.
    everything: Place,
    config: ServerConfig,
    pool: PortPool,
    claims: Claims,
    holders: Holders,
    receptions: Receptions,
    clients: Arc<Semaphore>,
    delivered: Arc<Delivered>,
    tasks: Tasks,
    failure: Mutex<Option<AcceptError>>,
}

impl Context {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(&*self.runtime, Box::pin(task));
    }
}

impl Server {
    /// Binds every port. Clients are answered once [`run`](Self::run) runs.
    ///
    /// # Errors
    ///
    /// [`ServeError::Bind`] when a port cannot be had.
    pub fn bind(
        runtime: Arc<dyn Runtime>,
        mut config: ServerConfig,
        store: Arc<dyn Store>,
    ) -> Result<Self, ServeError> {
        let delivered = Delivered::new(config.transport.observer.take());
        config.transport.observer = Some(Arc::clone(&delivered) as Arc<_>);
        channel::keep_alive(&mut config.transport);
        // Those beyond the clients are told so in words, and need a connection for it.
        let connections = config.max_clients + config.data_ports.count() + SPARE_CONNECTIONS;
        config.transport.listen_limit = config.transport.listen_limit.max(connections);
        let drawn = || Identity::generate(|bytes| runtime.fill_random(bytes));
        config.transport.identity.get_or_insert_with(drawn);
        if let Access::Listed(admit) = &config.access {
            config.transport.verifier = Some(Arc::new(Door {
                admit: Arc::clone(admit),
                before: config.transport.verifier.take(),
            }));
        }
        let listen = |port: u16| {
            let addr = SocketAddr::new(config.listen.ip(), port);
            Listener::bind(Arc::clone(&runtime), addr, config.transport.clone())
        };
        let control = listen(config.listen.port())?;
        let (data, ports): (Vec<Listener>, Vec<u16>) = match &config.data_ports {
            DataPorts::Same(count) => {
                let port = control.local_addr().port();
                (Vec::new(), vec![port; usize::from(*count)])
            }
            DataPorts::Auto(count) => bound((0..*count).map(|_| listen(0)))?,
            DataPorts::List(ports) => bound(ports.iter().map(|&port| listen(port)))?,
        };
        let context = Context {
            pool: PortPool::new(ports),
            claims: Claims::default(),
            holders: Holders::default(),
            receptions: Receptions::default(),
            clients: Arc::new(Semaphore::new(config.max_clients)),
            delivered,
            tasks: Tasks::new(),
            failure: Mutex::new(None),
            runtime,
            everything: Place::new("", store),
            config,
        };
        Ok(Self {
            context: Arc::new(context),
            control,
            data,
        })
    }

    /// The address of the control port.
    pub fn local_addr(&self) -> SocketAddr {
        self.control.local_addr()
    }

    /// The data ports, in the order in which they were asked for; none when the control port
    /// carries the files.
    pub fn data_ports(&self) -> Vec<u16> {
        self.data
            .iter()
            .map(|listener| listener.local_addr().port())
            .collect()
    }

    /// A hold on the server while it runs.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle {
            tasks: self.context.tasks.clone(),
            pool: self.context.pool.clone(),
            metrics: std::iter::once(&self.control)
                .chain(&self.data)
                .map(Listener::metrics)
                .collect(),
        }
    }

    /// Serves until [`ServerHandle::shutdown`], and until what was begun has ended.
    ///
    /// # Errors
    ///
    /// [`ServeError::Accept`] when a port is gone.
    pub async fn run(self) -> Result<(), ServeError> {
        let Self {
            context,
            control,
            data,
        } = self;
        let tasks = context.tasks.clone();
        for listener in std::iter::once(control).chain(data) {
            context.spawn(accept::accept(Arc::clone(&context), listener));
        }
        tasks.reached(Stage::Draining).await;
        if timeout(&*context.runtime, context.config.grace, tasks.ended())
            .await
            .is_err()
        {
            tracing::warn!("transfers are cut short");
        }
        tasks.advance(Stage::Stopped);
        tasks.ended().await;
        let failure = context
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }
}

impl ServerHandle {
    /// Begins nothing new, lets transfers end within the grace, and ends.
    pub fn shutdown(&self) {
        self.tasks.advance(Stage::Draining);
    }

    /// Ends at once.
    pub fn stop(&self) {
        self.tasks.advance(Stage::Stopped);
    }

    /// What all ports together hold for peers.
    pub fn load(&self) -> EndpointMetrics {
        self.metrics.iter().map(MetricsHandle::read).sum()
    }

    /// The data ports and which of them are free.
    pub const fn pool(&self) -> &PortPool {
        &self.pool
    }
}

fn bound(
    listeners: impl Iterator<Item = Result<Listener, BindError>>,
) -> Result<(Vec<Listener>, Vec<u16>), BindError> {
    let listeners: Vec<Listener> = listeners.collect::<Result<_, _>>()?;
    let ports = listeners
        .iter()
        .map(|listener| listener.local_addr().port())
        .collect();
    Ok((listeners, ports))
}
