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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::protocol::{Code, Name};
    use crate::store::{CreateOptions, DirStore};

    const UNIT: u64 = 4096;

    #[test]
    fn a_folder_under_two_names_is_one_root_with_one_quota() {
        let folder = tempfile::tempdir().unwrap();
        let (root, link) = (folder.path().join("root"), folder.path().join("link"));
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink("root", &link).unwrap();
        let roots = StorageRoots::default();
        let [first, second, other] = [&*root, &*link, folder.path()].map(|path| {
            let store = Arc::new(DirStore::open(path).unwrap());
            roots.unique(StorageRoot::new(&path.to_string_lossy(), store))
        });
        assert_eq!(first.label, second.label);
        assert_ne!(first.label, other.label);
        let quota = Some(Quota::new(100 * UNIT, None));
        let put = |root: &StorageRoot, name: &str, units: u64| {
            let store = root.store_to_write(quota);
            let options = CreateOptions::new(units * UNIT, true);
            store.create(&Name::parse(name).unwrap(), options)
        };
        let _held = put(&first, "a", 90).unwrap();
        let error = put(&second, "b", 20).unwrap_err();
        assert_eq!(error.code(), Code::QuotaExceeded);
        put(&second, "b", 10).unwrap();
    }
}
