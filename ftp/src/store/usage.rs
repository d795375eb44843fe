//! Bytes in a store.

use std::io;
use std::path::PathBuf;

use cap_std::fs::Dir;

use super::error::StoreError;
use super::traits::{FoundKind, Store};
use crate::protocol::Name;

/// Implements [`Store::usage`] by scanning every folder.
pub(super) fn usage<S: Store + ?Sized>(store: &S) -> Result<u64, StoreError> {
    let mut bytes: u64 = 0;
    let mut folders: Vec<Option<Name>> = vec![None];
    while let Some(folder) = folders.pop() {
        for found in store.scan(folder.as_ref(), None, usize::MAX)? {
            let path = folder
                .as_ref()
                .map_or_else(|| found.name.clone(), |f| format!("{f}/{}", found.name));
            match found.kind {
                FoundKind::Folder => folders.extend(Name::parse(&path).ok().map(Some)),
                FoundKind::File => bytes = bytes.saturating_add(found.size),
                FoundKind::Link | FoundKind::Other => {}
            }
        }
    }
    Ok(bytes)
}

/// Implements [`Store::usage`] for a folder of the file system. Links are not followed; what
/// vanishes meanwhile, and folders that must not be read, are not counted.
pub(super) fn usage_of(root: &Dir) -> io::Result<u64> {
    let mut bytes: u64 = 0;
    let mut folders = Vec::new();
    let mut entries = root.entries()?;
    let mut here = PathBuf::new();
    loop {
        for entry in entries.filter_map(Result::ok) {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                folders.push(here.join(entry.file_name()));
            } else if metadata.is_file() {
                bytes = bytes.saturating_add(metadata.len());
            }
        }
        (here, entries) = loop {
            let Some(next) = folders.pop() else {
                return Ok(bytes);
            };
            if let Ok(entries) = root.read_dir(&next) {
                break (next, entries);
            }
        };
    }
}
