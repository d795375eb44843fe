//! State that the tasks of one server share.

use std::sync::Arc;

use lftp_transport::{AcceptError, Runtime};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::config::ServerConfig;
use super::lease_table::LeaseTable;
use super::pending_transfers::PendingTransfers;
use super::port_pool::PortPool;
use super::revocation::Admissions;
use super::session_table::SessionTable;
use super::storage_root::{StorageRoot, StorageRoots};
use super::tasks::Tasks;
use super::upload_locks::UploadLocks;

/// The state of one server.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) runtime: Arc<dyn Runtime>,
    /// Root of the clients that have no root of their own.
    pub(super) everything: StorageRoot,
    pub(super) roots: StorageRoots,
    pub(super) config: ServerConfig,
    pub(super) pool: PortPool,
    pub(super) pending: PendingTransfers,
    pub(super) lease_table: LeaseTable,
    pub(super) upload_locks: UploadLocks,
    pub(super) admissions: Admissions,
    /// One permit for each client that may be connected.
    pub(super) clients: Arc<Semaphore>,
    pub(super) sessions: SessionTable,
    pub(super) tasks: Tasks,
    /// First failure of a port, which ends the server.
    pub(super) failure: Mutex<Option<AcceptError>>,
}

impl Context {
    /// Spawns a task that the server's end waits for.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(&*self.runtime, Box::pin(task));
    }
}
