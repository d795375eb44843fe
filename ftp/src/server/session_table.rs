//! The clients that are connected, and the places that idle ones give back.
//!
//! When every place is taken, a newcomer gets that of an idle client: of the one that holds most if
//! that is more than the newcomer does, or of one that has been idle for a while. A client is idle
//! when it has no request that waits for a reply and no transfer that runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use lftp_transport::Time;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::shares::{Holder, Shares};

/// Time after which an idle client gives its place to any newcomer.
pub(super) const IDLE_GRACE: Duration = Duration::from_secs(30);

/// How long an evicted client may take to end.
pub(super) const MAX_RELEASE: Duration = Duration::from_secs(2);

/// Every connected client. A clone is another handle on the same table.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionTable {
    entries: Arc<Mutex<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    all: BTreeMap<u64, Arc<Entry>>,
}

#[derive(Debug)]
struct Entry {
    holder: Holder,
    /// Requests that wait for a reply, and running transfers.
    busy: AtomicUsize,
    idle_since: Mutex<Time>,
    is_evicted: AtomicBool,
    evicted: Notify,
}

/// A client's entry, until it is dropped.
#[derive(Debug)]
pub(super) struct SessionEntry {
    table: SessionTable,
    number: u64,
    entry: Arc<Entry>,
}

/// Tells the table what a client does. A clone is for the same client.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Entry>);

impl SessionTable {
    /// Enters a client.
    pub(super) fn enter(&self, holder: Holder, now: Time) -> SessionEntry {
        let entry = Arc::new(Entry {
            holder,
            busy: AtomicUsize::new(0),
            idle_since: Mutex::new(now),
            is_evicted: AtomicBool::new(false),
            evicted: Notify::new(),
        });
        let mut entries = self.entries.lock();
        let number = entries.next;
        entries.next += 1;
        entries.all.insert(number, Arc::clone(&entry));
        SessionEntry {
            table: self.clone(),
            number,
            entry,
        }
    }

    /// Evicts a client for a newcomer; returns false when none has to give its place back.
    pub(super) fn evict_for(&self, newcomer: &Holder, now: Time) -> bool {
        let entries = self.entries.lock();
        let held = entries.all.values().map(|entry| &entry.holder);
        let shares = Shares::count(held);
        let idle = entries.all.values().filter(|entry| {
            entry.busy.load(Ordering::SeqCst) == 0 && !entry.is_evicted.load(Ordering::SeqCst)
        });
        let victim = idle
            .map(|entry| {
                let idle = now.saturating_since(*entry.idle_since.lock());
                (shares.excess(&entry.holder, newcomer), idle, entry)
            })
            .filter(|(excess, idle, _)| *excess > 0 || *idle >= IDLE_GRACE)
            .max_by_key(|&(excess, idle, _)| (excess, idle));
        let Some((_, _, entry)) = victim else {
            return false;
        };
        entry.is_evicted.store(true, Ordering::SeqCst);
        entry.evicted.notify_one();
        true
    }
}

impl SessionEntry {
    /// Waits until the client has to give its place back.
    pub(super) async fn evicted(&self) {
        self.entry.evicted.notified().await;
    }

    pub(super) fn activity(&self) -> Activity {
        Activity(Arc::clone(&self.entry))
    }
}

impl Drop for SessionEntry {
    fn drop(&mut self) {
        self.table.entries.lock().all.remove(&self.number);
    }
}

impl Activity {
    /// Notes that the client does something, until [`end`](Self::end).
    pub(super) fn begin(&self) {
        self.0.busy.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes that the client has done one of these things.
    pub(super) fn end(&self, now: Time) {
        *self.0.idle_since.lock() = now;
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(network: u8, host: u8) -> Holder {
        Holder::new([10, 0, network, host].into(), None)
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn is_evicted(session: &SessionEntry) -> bool {
        session.entry.is_evicted.load(Ordering::SeqCst)
    }

    #[test]
    fn the_longest_idle_client_of_who_holds_most_gives_its_place_back() {
        let table = SessionTable::default();
        let hog: Vec<_> = (0..3).map(|n| table.enter(holder(1, 1), at(n))).collect();
        let honest = table.enter(holder(2, 1), at(0));
        hog[0].activity().begin();
        assert!(!table.evict_for(&holder(1, 1), at(5)), "its own kind");
        assert!(table.evict_for(&holder(3, 1), at(5)));
        assert!(is_evicted(&hog[1]) && !is_evicted(&hog[2]) && !is_evicted(&honest));
    }

    #[test]
    fn a_client_that_idles_for_long_gives_its_place_to_anybody() {
        let table = SessionTable::default();
        let all: Vec<_> = (0..9).map(|n| table.enter(holder(n, 1), at(1))).collect();
        let newcomer = holder(99, 1);
        assert!(!table.evict_for(&newcomer, at(30)));
        all[0].activity().begin();
        all[1].activity().begin();
        all[1].activity().end(at(9));
        assert!(table.evict_for(&newcomer, at(31)));
        assert!(!is_evicted(&all[0]) && !is_evicted(&all[1]));
    }
}
