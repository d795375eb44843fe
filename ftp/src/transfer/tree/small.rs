//! Small files, many at once: the way to another thread and back is gone once for all of them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::walk::Walk;
use crate::protocol::Name;
use crate::protocol::blocks::BLOCK_BYTES;
use crate::protocol::{self, Failed, Head, MessageError, Page, Want};
use crate::store::{Store, StoreError};

/// Files of so many bytes are read and written whole.
pub(super) const SMALL_BYTES: u64 = 128 << 10;

/// Files that are read, or get their names, together: after one wait for the disk.
pub(super) const BATCH_FILES: usize = 64;

/// The most that is in memory of them, in bytes.
pub(super) const BATCH_BYTES: u64 = 4 << 20;

// A small file has no blocks that are verified on the way.
const _: () = assert!(SMALL_BYTES <= BLOCK_BYTES);

/// A file that is to be read whole.
#[derive(Debug)]
struct Job {
    index: usize,
    path: String,
    name: Result<Name, StoreError>,
}

/// The next files that are wanted, if they are small.
#[derive(Debug)]
pub(super) struct Ahead {
    store: Arc<dyn Store>,
    jobs: Vec<Job>,
}

/// Files as they travel, each with its head and its hash.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The bytes for the stream.
    pub(super) wire: Bytes,
    /// So many of the files that are wanted are in it.
    pub(super) files: usize,
}

impl Ahead {
    /// Those of `wants` that come next and are small.
    pub(super) fn new(walk: &Walk, page: &Page, wants: &VecDeque<Want>) -> Self {
        let mut left = BATCH_BYTES;
        let small = wants.iter().map_while(|want| {
            let entry = page.entries.get(want.index)?;
            let size = entry.size.filter(|&size| size <= SMALL_BYTES)?;
            left = left.checked_sub(size)?;
            want.held.is_none().then(|| Job {
                index: want.index,
                path: entry.path.clone(),
                name: walk.name(&entry.path),
            })
        });
        Self {
            jobs: small.take(BATCH_FILES).collect(),
            store: Arc::clone(walk.store()),
        }
    }

    /// Reads them, up to the first that is no longer small. Blocks.
    pub(super) fn read(self) -> Result<Batch, MessageError> {
        let (mut wire, mut files) = (BytesMut::new(), 0);
        for Job { index, path, name } in self.jobs {
            match name.and_then(|name| read(&*self.store, &name)) {
                Ok(None) => break,
                Ok(Some(contents)) => {
                    let head = Head {
                        index,
                        size: Some(contents.len() as u64),
                        resume: false,
                        failed: None,
                    };
                    wire.extend_from_slice(&protocol::encode(&head)?);
                    wire.extend_from_slice(&contents);
                    wire.extend_from_slice(blake3::hash(&contents).as_bytes());
                }
                Err(error) => {
                    wire.extend_from_slice(&protocol::encode(&failed(index, path, &error))?);
                }
            }
            files += 1;
        }
        let wire = wire.freeze();
        Ok(Batch { wire, files })
    }
}

/// What is sent instead of a file that cannot be: those behind it are carried all the same.
pub(super) fn failed(index: usize, path: String, error: &StoreError) -> Head {
    Head {
        index,
        size: None,
        resume: false,
        failed: Some(Failed {
            path,
            code: error.code(),
            reason: error.to_string(),
        }),
    }
}

/// All there is of a file, also if that is less than a moment ago; `None` when it is not small.
fn read(store: &dyn Store, name: &Name) -> Result<Option<Bytes>, StoreError> {
    let mut source = store.open(name)?;
    let size = source.size();
    if size > SMALL_BYTES {
        return Ok(None);
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut contents = BytesMut::new();
    while contents.len() < size {
        let piece = source.read(size - contents.len())?;
        if piece.is_empty() {
            break;
        }
        contents.extend_from_slice(&piece);
    }
    Ok(Some(contents.freeze()))
}
