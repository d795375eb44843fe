//! Who has the data ports, and makes room when it is no longer there.
//!
//! A client that was killed keeps its ports until its connections have timed out. When it comes
//! again meanwhile and every port is taken, its own transfers are asked for a sign of life, and
//! one that gives none makes room. Nobody makes room for another key.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lftp_transport::{PublicKey, Runtime, StreamMonitor, sleep};
use tokio::sync::Notify;

use super::port_pool::{Lease, PortPool};

/// How long a sign of life may take. The question is repeated like everything that is lost.
const LONGEST_ANSWER: Duration = Duration::from_millis(2500);

/// How long the end of a transfer may take that has to make room.
const LONGEST_END: Duration = Duration::from_secs(1);

/// How often is looked.
const TICK: Duration = Duration::from_millis(50);

/// Every transfer that has a port. A clone is another handle on the same ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Holders {
    running: Arc<Mutex<Running>>,
}

#[derive(Debug, Default)]
struct Running {
    next: u64,
    all: BTreeMap<u64, Arc<Holding>>,
}

#[derive(Debug)]
struct Holding {
    key: Option<PublicKey>,
    /// Of the control connection, until there is one that carries the file.
    monitor: Mutex<StreamMonitor>,
    is_evicted: AtomicBool,
    evicted: Notify,
}

/// A transfer's entry, until it is dropped.
#[derive(Debug)]
pub(super) struct Holder {
    holders: Holders,
    number: u64,
    holding: Arc<Holding>,
}

/// A holding that was asked for a sign of life.
struct Asked {
    holding: Arc<Holding>,
    monitor: StreamMonitor,
    ping: u64,
}

impl Holders {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transfer that was granted over the connection that `control` monitors.
    pub(super) fn enter(&self, key: Option<PublicKey>, control: StreamMonitor) -> Holder {
        let holding = Arc::new(Holding {
            key,
            monitor: Mutex::new(control),
            is_evicted: AtomicBool::new(false),
            evicted: Notify::new(),
        });
        let mut running = self.running();
        let number = running.next;
        running.next += 1;
        running.all.insert(number, Arc::clone(&holding));
        Holder {
            holders: self.clone(),
            number,
            holding,
        }
    }

    /// A port for the client with this key when none is free: that of a transfer of its own
    /// whose other end is silent. Takes as long as a sign of life may take; `None` as soon as
    /// every transfer of the key has given one.
    pub(super) async fn make_room(
        &self,
        runtime: &dyn Runtime,
        pool: &PortPool,
        key: Option<PublicKey>,
    ) -> Option<Lease> {
        let asked: Vec<Asked> = {
            let running = self.running();
            let own = running
                .all
                .values()
                .filter(|it| key.is_some() && it.key == key);
            own.map(Asked::new).collect()
        };
        let mut until = runtime.now() + LONGEST_ANSWER;
        while runtime.now() < until {
            if asked.iter().all(Asked::has_answered) {
                return None;
            }
            sleep(runtime, TICK).await;
            if let Some(lease) = pool.lease() {
                return Some(lease);
            }
        }
        let mut silent = asked.iter().filter(|asked| !asked.has_answered());
        silent.find(|asked| asked.holding.evict())?;
        until = runtime.now() + LONGEST_END;
        while runtime.now() < until {
            sleep(runtime, TICK).await;
            if let Some(lease) = pool.lease() {
                return Some(lease);
            }
        }
        None
    }
}

impl Holding {
    fn monitor(&self) -> MutexGuard<'_, StreamMonitor> {
        self.monitor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the transfer to end; false when somebody has done so already.
    fn evict(&self) -> bool {
        let is_first = !self.is_evicted.swap(true, Ordering::SeqCst);
        if is_first {
            self.evicted.notify_one();
        }
        is_first
    }
}

impl Asked {
    fn new(holding: &Arc<Holding>) -> Self {
        let monitor = holding.monitor().clone();
        Self {
            holding: Arc::clone(holding),
            ping: monitor.ping(),
            monitor,
        }
    }

    /// There was a sign of life, or the client has come for its file meanwhile.
    fn has_answered(&self) -> bool {
        self.monitor.is_answered(self.ping)
            || !self.holding.monitor().is_same_connection(&self.monitor)
    }
}

impl Holder {
    /// The file is carried by the connection that `control` monitors.
    pub(super) fn carried_by(&self, monitor: StreamMonitor) {
        *self.holding.monitor() = monitor;
    }

    /// Waits until the transfer has to make room.
    pub(super) async fn evicted(&self) {
        self.holding.evicted.notified().await;
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.holders.running().all.remove(&self.number);
    }
}
