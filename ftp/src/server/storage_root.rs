//! The part of the server's files that a client sees.

use std::sync::Arc;

use super::quota_usage::QuotaUsage;
use crate::store::{Store, StoreError};

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

    /// Returns the store for one upload, bounded by the quota if there is one. Blocks.
    pub(super) fn store_to_write(
        &self,
        quota_bytes: Option<u64>,
    ) -> Result<Arc<dyn Store>, StoreError> {
        match quota_bytes {
            None => Ok(Arc::clone(&self.store)),
            Some(quota_bytes) => self.usage.store(&self.store, quota_bytes),
        }
    }
}
