//! Small files, many at once: one change of threads serves all of them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::walk::Walk;
use crate::protocol::Name;
use crate::protocol::blocks::BLOCK_BYTES;
use crate::protocol::{self, FailedFile, FileHeader, MessageError, Page, WantedEntry};
use crate::store::{Store, StoreError};

/// Files of up to this many bytes are read and written as a whole.
pub(super) const SMALL_BYTES: u64 = 128 << 10;

/// Files that are read, or get their names, together after one sync of the disk.
pub(super) const BATCH_FILES: usize = 64;

/// Bytes of them in memory at most.
pub(super) const BATCH_BYTES: u64 = 4 << 20;

// A small file has no blocks of its own to verify.
const _: () = assert!(SMALL_BYTES <= BLOCK_BYTES);

/// A file to be read as a whole.
#[derive(Debug)]
struct SmallFile {
    index: usize,
    path: String,
    name: Result<Name, StoreError>,
}

/// The next wanted files, as far as they are small.
#[derive(Debug)]
pub(super) struct SmallFiles {
    store: Arc<dyn Store>,
    files: Vec<SmallFile>,
}

/// Files encoded for the stream, each with its header and its hash.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Bytes for the stream.
    pub(super) wire: Bytes,
    /// Number of wanted files in it.
    pub(super) files: usize,
}

impl SmallFiles {
    /// Takes small files off the front of `wants`, until the batch is full.
    pub(super) fn new(walk: &Walk, page: &Page, wants: &VecDeque<WantedEntry>) -> Self {
        let mut left = BATCH_BYTES;
        let small = wants.iter().map_while(|want| {
            let entry = page.entries.get(want.index)?;
            let size = entry.size.filter(|&size| size <= SMALL_BYTES)?;
            // By the sizes of the page; `read` looks at the real ones.
            left = left.checked_sub(size)?;
            want.held.is_none().then(|| SmallFile {
                index: want.index,
                path: entry.path.clone(),
                name: walk.name(&entry.path),
            })
        });
        Self {
            files: small.take(BATCH_FILES).collect(),
            store: Arc::clone(walk.store()),
        }
    }

    /// Reads the files, up to the first that is no longer small. Blocks.
    pub(super) fn read(self) -> Result<Batch, MessageError> {
        let (mut wire, mut files) = (BytesMut::new(), 0);
        for SmallFile { index, path, name } in self.files {
            match name.and_then(|name| read(&*self.store, &name)) {
                // It has grown: the batch ends before it, and it is sent by itself.
                Ok(None) => break,
                Ok(Some(contents)) => {
                    let head = FileHeader {
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

/// Header that takes the place of a file that cannot be read: the files behind it follow.
pub(super) fn failed(index: usize, path: String, error: &StoreError) -> FileHeader {
    FileHeader {
        index,
        size: None,
        resume: false,
        failed: Some(FailedFile {
            path: path.into(),
            code: error.code(),
            reason: error.to_string().into(),
        }),
    }
}

/// Reads all of a file, even if it shrank since it was offered; `None` when it is not small.
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
        // It shrank: what there is is sent, with its own size and hash.
        if piece.is_empty() {
            break;
        }
        contents.extend_from_slice(&piece);
    }
    Ok(Some(contents.freeze()))
}
