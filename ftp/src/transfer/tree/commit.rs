//! Names for a group of received files, after one sync of the disk for all of them.

use blake3::Hash;
use bytes::Bytes;

use super::select::{FileSelector, WantedFile};
use crate::store::StoreError;
use crate::transfer::receive::ReceivedFile;

/// A file that arrived and has no name yet.
#[derive(Debug)]
pub(super) enum PendingFile {
    /// Written to the store, with its path in the tree.
    Written(String, ReceivedFile),
    /// Small, and complete in memory.
    Small(WantedFile, Bytes, Hash),
}

/// Writes what is still in memory, syncs the store, and gives every file its name. Blocks.
///
/// # Errors
///
/// [`StoreError`] when the store as a whole fails. What fails for a single file is counted in the
/// selector's summary.
pub(super) fn commit(
    selector: &mut FileSelector,
    pending: Vec<PendingFile>,
) -> Result<(), StoreError> {
    let mut written = Vec::with_capacity(pending.len());
    for file in pending {
        match file {
            PendingFile::Written(path, received) => written.push((path, received)),
            PendingFile::Small(wanted, contents, hash) => {
                let (path, size) = (wanted.entry.path.clone(), contents.len() as u64);
                // One name that is refused, or one file in the way, concerns that file only.
                let mut sink = match selector.create(&wanted, size) {
                    Ok(sink) => sink,
                    Err(error) => {
                        selector.fail(&path, &error);
                        continue;
                    }
                };
                // A write fails when the disk is full or broken, for all that follow as well.
                sink.write(&contents)?;
                selector.summary.bytes = selector.summary.bytes.saturating_add(size);
                let mut received = ReceivedFile::new(sink, size, hash);
                received.attributes = wanted.entry.attributes;
                written.push((path, received));
            }
        }
    }
    // One sync for the whole group, before any name: a name must never stand for bytes that a power
    // cut can take.
    selector.target.store.sync()?;
    for (path, received) in written {
        match received.commit_synced() {
            Ok(stored) => {
                selector.summary.files += 1;
                if let Some(error) = stored.without_attributes {
                    selector.warn_without_attributes(&error);
                }
            }
            Err(error) => selector.fail(&path, &error),
        }
    }
    Ok(())
}
