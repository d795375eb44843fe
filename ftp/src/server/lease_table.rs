//! The transfers that lease data ports, and the ports that are reclaimed from dead ones.
//!
//! A client that was killed keeps its ports until its connections time out. When it comes back
//! before that and every port is taken, its own transfers are probed, and one whose peer does not
//! answer is reclaimed.
//!
//! For others a port is reclaimed from a grant that its client does not collect, and from a transfer
//! below the [least rate](super::ServerConfig::least_rate): first from whoever holds most.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lftp_transport::{PublicKey, Runtime, StreamMonitor, Time, sleep, timeout};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::port_pool::{Lease, PortPool};
use super::shares::{Holder, Shares};
use super::tasks::until;

/// How long a peer may take to answer a probe. The transport retransmits the probe as it does
/// everything that is lost.
const MAX_ANSWER: Duration = Duration::from_millis(2500);

/// How long a reclaimed transfer may take to end.
const MAX_RELEASE: Duration = Duration::from_secs(1);

/// Time for which a grant waits for its client although others wait for the port, whatever the
/// client holds.
pub(super) const UNCOLLECTED_GRACE: Duration = Duration::from_secs(10);

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
    holder: Holder,
    granted_at: Time,
    /// The control connection, until a data connection exists.
    monitor: Mutex<StreamMonitor>,
    is_collected: AtomicBool,
    is_slow: AtomicBool,
    reason: OnceLock<Reclaimed>,
    reclaimed: Notify,
}

/// Reason why a port is reclaimed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Reclaimed {
    /// The client came back for it, and the transfer's peer is silent.
    Silent,
    /// The client does not open the data connection.
    Uncollected,
    /// The client holds the transfer below the least rate.
    Slow,
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
    pub(super) fn enter(
        &self,
        (key, holder): (Option<PublicKey>, Holder),
        control: StreamMonitor,
        granted_at: Time,
    ) -> LeaseEntry {
        let holder = Arc::new(Leaseholder {
            key,
            holder,
            granted_at,
            monitor: Mutex::new(control),
            is_collected: AtomicBool::new(false),
            is_slow: AtomicBool::new(false),
            reason: OnceLock::new(),
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
        silent.find(|probe| probe.holder.reclaim(Reclaimed::Silent))?;
        deadline = runtime.now() + MAX_RELEASE;
        while runtime.now() < deadline {
            sleep(runtime, TICK).await;
            if let Some(lease) = pool.lease() {
                return Some(lease);
            }
        }
        None
    }

    /// Finds a port for a newcomer when none is free and none of its own transfers is dead.
    pub(super) async fn reclaim_for(
        &self,
        runtime: &dyn Runtime,
        pool: &PortPool,
        newcomer: &Holder,
    ) -> Option<Lease> {
        let (victim, reason) = self.victim(newcomer, runtime.now())?;
        // In line before the port is returned: it is for this newcomer.
        let next = pool.next();
        if !victim.reclaim(reason) {
            return None;
        }
        let key = victim.key.map(tracing::field::display);
        tracing::info!(
            key,
            ?reason,
            "a transfer ends: another client waits for a port"
        );
        timeout(runtime, MAX_RELEASE, next).await.ok()?.ok()
    }

    /// Returns the transfer that gives its port to a newcomer.
    fn victim(&self, newcomer: &Holder, now: Time) -> Option<(Arc<Leaseholder>, Reclaimed)> {
        let entries = self.entries.lock();
        let shares = Shares::count(entries.all.values().map(|entry| &entry.holder));
        let there = entries.all.values();
        let there = there.filter(|entry| entry.reason.get().is_none());
        let ranked = there.map(|entry| {
            let excess = shares.excess(&entry.holder, newcomer);
            (excess, now.saturating_since(entry.granted_at), entry)
        });
        let (collected, uncollected): (Vec<_>, Vec<_>) =
            ranked.partition(|(_, _, entry)| entry.is_collected.load(Ordering::SeqCst));
        let uncollected = uncollected.into_iter();
        let uncollected = uncollected
            .filter(|(excess, age, _)| *excess > 0 || *age >= UNCOLLECTED_GRACE)
            .max_by_key(|&(excess, age, _)| (excess, age));
        if let Some((_, _, entry)) = uncollected {
            return Some((Arc::clone(entry), Reclaimed::Uncollected));
        }
        // A client does not end its own transfers by asking for more.
        let slow = collected.into_iter().filter(|(_, _, entry)| {
            entry.is_slow.load(Ordering::SeqCst) && entry.holder != *newcomer
        });
        let (_, _, entry) = slow.max_by_key(|&(excess, age, _)| (excess, age))?;
        Some((Arc::clone(entry), Reclaimed::Slow))
    }
}

impl Leaseholder {
    /// Tells the transfer to end; returns false when it was told before.
    fn reclaim(&self, reason: Reclaimed) -> bool {
        let is_first = self.reason.set(reason).is_ok();
        if is_first {
            self.reclaimed.notify_waiters();
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
        self.holder.is_collected.store(true, Ordering::SeqCst);
    }

    /// Notes whether the transfer is below the least rate.
    pub(super) fn set_slow(&self, is_slow: bool) {
        self.holder.is_slow.store(is_slow, Ordering::SeqCst);
    }

    /// Waits until the transfer's port is reclaimed, and returns the reason.
    pub(super) async fn reclaimed(&self) -> Reclaimed {
        loop {
            if let Some(&reason) = self.holder.reason.get() {
                return reason;
            }
            until(&self.holder.reclaimed, || {
                self.holder.reason.get().is_some()
            })
            .await;
        }
    }
}

impl Drop for LeaseEntry {
    fn drop(&mut self) {
        self.table.entries.lock().all.remove(&self.number);
    }
}
