//! The end of sessions and transfers whose key was removed, or has fewer rights than before.
//!
//! A policy may change while clients are connected. What each of them was admitted to is compared
//! with the policy once per [`CHECK_INTERVAL`]. A client that would not get as much now is ended,
//! its transfers with it; it may connect again and gets what its key has by then.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use lftp_transport::{PublicKey, sleep, spawn_blocking};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::access::{Access, Admission, Rights};
use super::context::Context;
use super::tasks::{Stage, until};
use crate::protocol::Code;

/// Longest time between a change of the policy and the end of the sessions that it affects, apart
/// from the time that the policy takes to answer.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Tells the session and the transfers of a client that they must end.
#[derive(Clone, Debug, Default)]
pub(super) struct Revocation(Arc<Signal>);

#[derive(Debug, Default)]
struct Signal {
    code: OnceLock<Code>,
    set: Notify,
}

impl Revocation {
    /// Waits until the client must end, and returns what it is told.
    pub(super) async fn revoked(&self) -> Code {
        loop {
            if let Some(&code) = self.0.code.get() {
                return code;
            }
            until(&self.0.set, || self.0.code.get().is_some()).await;
        }
    }
}

/// The part of an admission that may not become less.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Terms {
    rights: Rights,
    /// Label of the root of its own.
    root: Option<String>,
    quota_bytes: Option<u64>,
    quota_entries: Option<u64>,
}

impl Terms {
    fn of(admission: &Admission) -> Self {
        let root = admission.root.as_ref();
        Self {
            rights: admission.rights,
            root: root.map(|root| root.label.to_string()),
            quota_bytes: admission.quota_bytes,
            quota_entries: admission.quota_entries,
        }
    }

    /// Returns true if a client with these terms may do everything that `earlier` allowed.
    fn include(&self, earlier: &Self) -> bool {
        let has = |now: bool, before: bool| now || !before;
        // No limit of entries is a limit by default, which grows with the bytes.
        let no_limit = u64::MAX;
        let entries = |terms: &Self| terms.quota_entries.unwrap_or(no_limit);
        has(self.rights.read, earlier.rights.read)
            && has(self.rights.write, earlier.rights.write)
            && self.root == earlier.root
            && self.quota_bytes.unwrap_or(no_limit) >= earlier.quota_bytes.unwrap_or(no_limit)
            && entries(self) >= entries(earlier)
    }
}

/// The admissions in use.
#[derive(Debug, Default)]
pub(super) struct Admissions(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    key: Option<PublicKey>,
    terms: Terms,
    /// Gone with the last session or transfer of the client.
    signal: Weak<Signal>,
}

impl Admissions {
    /// Notes an admission.
    pub(super) fn enter(&self, key: Option<PublicKey>, admission: &Admission) -> Revocation {
        let revocation = Revocation::default();
        let mut entries = self.0.lock();
        entries.retain(|entry| entry.signal.strong_count() > 0);
        entries.push(Entry {
            key,
            terms: Terms::of(admission),
            signal: Arc::downgrade(&revocation.0),
        });
        revocation
    }

    /// Ends the clients that the policy would not admit to as much any more. May block.
    fn check(&self, access: &Access) {
        // Not under the lock: the policy may be slow.
        let mut entries = std::mem::take(&mut *self.0.lock());
        entries.retain(|entry| {
            let Some(signal) = entry.signal.upgrade() else {
                return false;
            };
            let Some(code) = refusal(access, entry) else {
                return true;
            };
            let key = entry.key.map(tracing::field::display);
            tracing::info!(
                key,
                ?code,
                "the key was removed or has fewer rights: client ended"
            );
            let _ = signal.code.set(code);
            signal.set.notify_waiters();
            false
        });
        self.0.lock().append(&mut entries);
    }
}

/// Returns the reason for which a client must end.
fn refusal(access: &Access, entry: &Entry) -> Option<Code> {
    match access.admit(entry.key) {
        Ok(admission) => (!Terms::of(&admission).include(&entry.terms)).then_some(Code::NoRight),
        Err(refusal) if refusal.code == Code::NotAdmitted => Some(Code::NotAdmitted),
        // A root that cannot be used at the moment says nothing about the key.
        Err(_) => None,
    }
}

/// Compares the admissions with the policy until the server stops.
pub(super) async fn watch(context: Arc<Context>) {
    if !matches!(context.config.access, Access::Listed(_)) {
        return;
    }
    loop {
        tokio::select! {
            biased;
            () = context.tasks.reached(Stage::Stopped) => return,
            () = sleep(&*context.runtime, CHECK_INTERVAL) => {}
        }
        let shared = Arc::clone(&context);
        let check = move || shared.admissions.check(&shared.config.access);
        spawn_blocking(&*context.runtime, check).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(read: bool, write: bool, root: Option<&str>, quota_bytes: Option<u64>) -> Terms {
        Terms {
            rights: Rights { read, write },
            root: root.map(str::to_owned),
            quota_bytes,
            quota_entries: None,
        }
    }

    #[test]
    fn terms_include_earlier_ones_unless_something_is_less() {
        let earlier = terms(true, false, None, Some(10));
        for more in [
            terms(true, false, None, Some(10)),
            terms(true, true, None, Some(11)),
            terms(true, true, None, None),
        ] {
            assert!(more.include(&earlier), "{more:?}");
        }
        for less in [
            terms(false, true, None, Some(10)),
            terms(true, false, None, Some(9)),
            terms(true, false, Some("a"), Some(10)),
        ] {
            assert!(!less.include(&earlier), "{less:?}");
        }
        assert!(!terms(true, true, None, Some(1)).include(&terms(true, true, None, None)));
        assert!(!terms(true, false, None, None).include(&terms(true, true, None, None)));
    }
}
