//! The transfers that lease data ports, and the ports that are reclaimed from dead ones.
//!
//! A client that was killed keeps its ports until its connections time out. When it comes back
//! before that and every port is taken, its own transfers are probed, and one whose peer does not
//! answer is reclaimed. Nothing is ever reclaimed for another key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lftp_transport::{PublicKey, Runtime, StreamMonitor, sleep};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::port_pool::{Lease, PortPool};

/// How long a peer may take to answer a probe. The transport retransmits the probe as it does
/// everything that is lost.
const MAX_ANSWER: Duration = Duration::from_millis(2500);

/// How long a reclaimed transfer may take to end.
const MAX_RELEASE: Duration = Duration::from_secs(1);

/// Interval between two looks at the probes.
const TICK: Duration = Duration::from_millis(50);

/// Every transfer with a port. A clone is another handle on the same table.
#[derive(Clone, Debug, Default)]
pub(super) struct LeaseTable {
    entries: Arc<Mutex<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    all: BTreeMap<u64, Arc<Leaseholder>>,
}

#[derive(Debug)]
struct Leaseholder {
    key: Option<PublicKey>,
    /// The control connection, until a data connection exists.
    monitor: Mutex<StreamMonitor>,
    is_reclaimed: AtomicBool,
    reclaimed: Notify,
}

/// A transfer's entry, until it is dropped.
#[derive(Debug)]
pub(super) struct LeaseEntry {
    table: LeaseTable,
    number: u64,
    holder: Arc<Leaseholder>,
}

/// A leaseholder whose peer was asked to answer.
struct Probe {
    holder: Arc<Leaseholder>,
    monitor: StreamMonitor,
    ping: u64,
}

impl LeaseTable {
    /// Enters a transfer that was granted over the connection that `control` monitors.
    pub(super) fn enter(&self, key: Option<PublicKey>, control: StreamMonitor) -> LeaseEntry {
        let holder = Arc::new(Leaseholder {
            key,
            monitor: Mutex::new(control),
            is_reclaimed: AtomicBool::new(false),
            reclaimed: Notify::new(),
        });
        let mut entries = self.entries.lock();
        let number = entries.next;
        entries.next += 1;
        entries.all.insert(number, Arc::clone(&holder));
        LeaseEntry {
            table: self.clone(),
            number,
            holder,
        }
    }

    /// Finds a port for the client with this key when none is free: that of a transfer of its own
    /// whose peer is silent. Takes as long as an answer may take; returns `None` as soon as every
    /// transfer of the key has answered.
    pub(super) async fn reclaim(
        &self,
        runtime: &dyn Runtime,
        pool: &PortPool,
        key: Option<PublicKey>,
    ) -> Option<Lease> {
        let probes: Vec<Probe> = {
            let entries = self.entries.lock();
            // Without a key no client can prove that a transfer is its own.
            let own = entries
                .all
                .values()
                .filter(|holder| key.is_some() && holder.key == key);
            own.map(Probe::new).collect()
        };
        let mut deadline = runtime.now() + MAX_ANSWER;
        while runtime.now() < deadline {
            if probes.iter().all(Probe::has_answered) {
                return None;
            }
            sleep(runtime, TICK).await;
            // A port that another transfer returned meanwhile costs no one anything.
            if let Some(lease) = pool.lease() {
                return Some(lease);
            }
        }
        let mut silent = probes.iter().filter(|probe| !probe.has_answered());
        silent.find(|probe| probe.holder.reclaim())?;
        deadline = runtime.now() + MAX_RELEASE;
        while runtime.now() < deadline {
            sleep(runtime, TICK).await;
            if let Some(lease) = pool.lease() {
                return Some(lease);
            }
        }
        None
    }
}

impl Leaseholder {
    /// Tells the transfer to end; returns false when it was told before.
    fn reclaim(&self) -> bool {
        let is_first = !self.is_reclaimed.swap(true, Ordering::SeqCst);
        if is_first {
            self.reclaimed.notify_one();
        }
        is_first
    }
}

impl Probe {
    fn new(holder: &Arc<Leaseholder>) -> Self {
        let monitor = holder.monitor.lock().clone();
        Self {
            holder: Arc::clone(holder),
            ping: monitor.ping(),
            monitor,
        }
    }

    /// Returns whether the peer answered, or opened the data connection in the meantime.
    fn has_answered(&self) -> bool {
        self.monitor.is_answered(self.ping)
            || !self.holder.monitor.lock().is_same_connection(&self.monitor)
    }
}

impl LeaseEntry {
    /// From now on the peer's liveness is that of the data connection.
    pub(super) fn set_data_connection(&self, monitor: StreamMonitor) {
        *self.holder.monitor.lock() = monitor;
    }

    /// Waits until the transfer's port is reclaimed.
    pub(super) async fn reclaimed(&self) {
        self.holder.reclaimed.notified().await;
    }
}

impl Drop for LeaseEntry {
    fn drop(&mut self) {
        self.table.entries.lock().all.remove(&self.number);
    }
}
