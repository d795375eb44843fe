//! The part of the server's files that a client sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::quota_store::QuotaStore;
use super::quota_usage::{Quota, QuotaUsage};
use crate::store::{FileId, Store};

/// A store that is the root for some clients. Clones are the same root, and share its quota usage.
#[derive(Clone, Debug)]
pub struct StorageRoot {
    pub(super) label: Arc<str>,
    pub(super) store: Arc<dyn Store>,
    usage: QuotaUsage,
}

impl StorageRoot {
    /// Creates a root with a label that distinguishes it from the others of one server.
    pub fn new(label: &str, store: Arc<dyn Store>) -> Self {
        Self {
            label: label.into(),
            store,
            usage: QuotaUsage::default(),
        }
    }

    /// Returns the store for one upload, bounded by the quota if there is one.
    pub(super) fn store_to_write(&self, quota: Option<Quota>) -> Arc<dyn Store> {
        QuotaStore::wrap(&self.store, &self.usage, quota)
    }
}

/// The roots in use. A folder that was opened under several names is one root.
#[derive(Debug, Default)]
pub(super) struct StorageRoots(Mutex<BTreeMap<FileId, StorageRoot>>);

impl StorageRoots {
    /// Returns the root that was the first to have this folder.
    pub(super) fn unique(&self, root: StorageRoot) -> StorageRoot {
        let id = root.store.disk_usage().and_then(|disk| disk.root_id());
        match id {
            Some(id) => self.0.lock().entry(id).or_insert(root).clone(),
            None => root,
        }
    }
}
