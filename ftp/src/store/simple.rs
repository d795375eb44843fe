//! What stores without a file system under them answer alike: [`MemStore`](super::MemStore) and
//! [`HashStore`](super::HashStore) know files by name and nothing else about them.

use super::error::StoreError;
use super::traits::{Found, FoundKind, Store};
use crate::protocol::{Attributes, Name};

/// Implements [`Store::stat`] by opening the file.
pub(super) fn stat_by_opening(
    store: &impl Store,
    name: &Name,
) -> Result<Option<Found>, StoreError> {
    match store.open(name) {
        Ok(source) => Ok(Some(Found {
            name: name.split().1.to_owned(),
            kind: FoundKind::File,
            size: source.size(),
            attributes: Attributes::default(),
            fingerprint: source.fingerprint(),
            allocated: source.allocated(),
        })),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Implements [`Store::scan`] by listing the folder.
pub(super) fn scan_by_listing(
    store: &impl Store,
    folder: Option<&Name>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Found>, StoreError> {
    let entries = store.list(folder, after, limit)?;
    Ok(entries.into_iter().map(Found::from).collect())
}
