//! A server with its ports bound, and the handle on it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use lftp_transport::{
    BindError, EndpointMetrics, Identity, Listener, MetricsHandle, Runtime, timeout,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::accept;
use super::access::{Access, AdmissionVerifier};
use super::config::ServerConfig;
use super::context::Context;
use super::error::ServeError;
use super::lease_table::LeaseTable;
use super::pending_transfers::PendingTransfers;
use super::port_pool::PortPool;
use super::revocation::{self, Admissions};
use super::session_table::SessionTable;
use super::storage_root::{StorageRoot, StorageRoots};
use super::tasks::{Stage, Tasks};
use super::upload_locks::UploadLocks;
use crate::protocol::DataPorts;
use crate::protocol::channel;
use crate::store::Store;

/// Connections that a port accepts beyond its clients and transfers.
const SPARE_CONNECTIONS: usize = 256;

/// A server with its ports bound.
#[derive(Debug)]
pub struct Server {
    context: Arc<Context>,
    control: Listener,
    data: Vec<Listener>,
}

/// A handle on a running server. Clones are handles on the same one.
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

impl Server {
    /// Binds every port. Clients are served while [`run`](Self::run) runs.
    ///
    /// # Errors
    ///
    /// [`ServeError::Bind`] when a port cannot be bound.
    pub fn bind(
        runtime: Arc<dyn Runtime>,
        mut config: ServerConfig,
        store: Arc<dyn Store>,
    ) -> Result<Self, ServeError> {
        channel::keep_alive(&mut config.transport);
        // What one port is made to hold, the others may not.
        config.transport.shared_memory.get_or_insert_default();
        // A client beyond the limit is told so, which takes a connection.
        let connections = config.max_clients + config.data_ports.count() + SPARE_CONNECTIONS;
        config.transport.listen_limit = config.transport.listen_limit.max(connections);
        let generated = || Identity::generate(|bytes| runtime.fill_random(bytes));
        config.transport.identity.get_or_insert_with(generated);
        if let Access::Listed(admit) = &config.access {
            config.transport.verifier = Some(Arc::new(AdmissionVerifier {
                admit: Arc::clone(admit),
                next: config.transport.verifier.take(),
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
        let (everything, roots) = (StorageRoot::new("", store), StorageRoots::default());
        // Another name for the folder that is shared is no root of its own.
        roots.unique(everything.clone());
        let context = Context {
            pool: PortPool::new(ports),
            pending: PendingTransfers::default(),
            lease_table: LeaseTable::default(),
            upload_locks: UploadLocks::default(),
            admissions: Admissions::default(),
            clients: Arc::new(Semaphore::new(config.max_clients)),
            sessions: SessionTable::default(),
            tasks: Tasks::new(),
            failure: Mutex::new(None),
            runtime,
            everything,
            roots,
            config,
        };
        Ok(Self {
            context: Arc::new(context),
            control,
            data,
        })
    }

    /// Address of the control port.
    pub fn local_addr(&self) -> SocketAddr {
        self.control.local_addr()
    }

    /// The data ports, in the order of the configuration; none when files are transferred on the
    /// control port.
    pub fn data_ports(&self) -> Vec<u16> {
        self.data
            .iter()
            .map(|listener| listener.local_addr().port())
            .collect()
    }

    /// Returns a handle on the server for use while it runs.
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

    /// Serves until [`ServerHandle::shutdown`], then until the transfers in progress have ended.
    ///
    /// # Errors
    ///
    /// [`ServeError::Accept`] when a port fails.
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
        // Not among the tasks that the end waits for: it runs until all of them have ended.
        let watch = revocation::watch(Arc::clone(&context));
        context.runtime.spawn(Box::pin(watch));
        tasks.reached(Stage::Draining).await;
        if timeout(&*context.runtime, context.config.grace, tasks.ended())
            .await
            .is_err()
        {
            tracing::warn!("transfers in progress are cancelled");
        }
        tasks.advance(Stage::Stopped);
        tasks.ended().await;
        let failure = context.failure.lock().take();
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }
}

impl ServerHandle {
    /// Starts nothing new, and ends when the transfers in progress do, or after the grace.
    pub fn shutdown(&self) {
        self.tasks.advance(Stage::Draining);
    }

    /// Ends at once.
    pub fn stop(&self) {
        self.tasks.advance(Stage::Stopped);
    }

    /// Resources that all ports together hold for peers.
    pub fn load(&self) -> EndpointMetrics {
        self.metrics.iter().map(MetricsHandle::read).sum()
    }

    /// The data ports and which of them are free.
    pub const fn pool(&self) -> &PortPool {
        &self.pool
    }
}

/// Separates listeners and their port numbers.
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
