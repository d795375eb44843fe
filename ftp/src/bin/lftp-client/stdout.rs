//! A file received to standard output: verified blocks only, and none of them twice.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lftp_ftp::{
    Attributes, BlockHash, BlockReader, CreateOptions, DiskUsage, Entry, Found, Name, OnDisk,
    PartialOptions, ResumablePartial, Sink, Source, Store, StoreError, Stored,
};

/// A store for one file, written to standard output. After a lost connection the next attempt
/// resumes after the blocks already written.
#[derive(Clone, Default)]
pub(crate) struct StdoutStore(Arc<Mutex<Written>>);

/// The part of the file already written.
#[derive(Default)]
struct Written {
    size: u64,
    source: String,
    hashes: Vec<BlockHash>,
}

impl fmt::Debug for StdoutStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StdoutStore")
    }
}

impl StdoutStore {
    fn written(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, size: u64, source: &str) -> Result<Box<dyn Sink>, StoreError> {
        let mut written = self.written();
        if !written.hashes.is_empty() {
            return Err(changed());
        }
        (written.size, written.source) = (size, source.to_owned());
        Ok(self.sink())
    }

    fn sink(&self) -> Box<dyn Sink> {
        Box::new(Block {
            stdout: self.clone(),
            unverified: Vec::new(),
        })
    }
}

/// Bytes written to a pipe cannot be taken back.
fn changed() -> StoreError {
    failed(io::Error::other(
        "the server's file has changed since part of it was written; start again",
    ))
}

/// Hashes of the blocks already written.
#[derive(Debug)]
struct Printed(Vec<BlockHash>);

impl BlockReader for Printed {
    fn hash_block(&mut self, index: u64) -> Result<Option<BlockHash>, StoreError> {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        Ok(self.0.get(index).copied())
    }
}

fn failed(error: io::Error) -> StoreError {
    StoreError::from_io("standard output", error)
}

impl Store for StdoutStore {
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError> {
        let name = name.to_string();
        Err(StoreError::NotFound { name })
    }

    fn create(&self, _: &Name, options: CreateOptions<'_>) -> Result<Box<dyn Sink>, StoreError> {
        self.begin(
            options.size,
            options.origin.map_or("", |origin| origin.source),
        )
    }

    fn open_partial(
        &self,
        _: &Name,
        _: PartialOptions<'_>,
    ) -> Result<Option<ResumablePartial>, StoreError> {
        let written = self.written();
        Ok((!written.hashes.is_empty()).then(|| ResumablePartial {
            size: written.size,
            source: written.source.clone(),
            hashes: written.hashes.clone(),
            sink: self.sink(),
        }))
    }

    /// Nothing that was written can be found again.
    fn stat(&self, _: &Name) -> Result<Option<Found>, StoreError> {
        Ok(None)
    }

    fn list(&self, _: Option<&Name>, _: Option<&str>, _: usize) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }

    fn scan(&self, _: Option<&Name>, _: Option<&str>, _: usize) -> Result<Vec<Found>, StoreError> {
        Ok(Vec::new())
    }

    fn disk_usage(&self) -> Option<&dyn DiskUsage> {
        None
    }

    /// Standard output takes one file and no tree.
    fn create_folder(&self, _: &Name, _: Option<u32>) -> Result<(), StoreError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn folds_case(&self) -> bool {
        false
    }
}

/// Holds back a block until its hash has arrived.
#[derive(Debug)]
struct Block {
    stdout: StdoutStore,
    unverified: Vec<u8>,
}

impl Block {
    fn print(&mut self) -> Result<(), StoreError> {
        let printed = lftp_console::print_bytes(&self.unverified);
        self.unverified.clear();
        printed.map_err(|error| failed(error.into()))
    }
}

impl Sink for Block {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.unverified.extend_from_slice(bytes);
        Ok(())
    }

    fn block_verified(&mut self, hash: BlockHash) -> Result<(), StoreError> {
        // Recorded before it is printed: a block that fails halfway must not be printed again.
        self.stdout.written().hashes.push(hash);
        self.print()
    }

    /// Printed bytes cannot be read again, but they were hashed by this very process.
    fn reread(&self) -> Result<Box<dyn BlockReader>, StoreError> {
        Ok(Box::new(Printed(self.stdout.written().hashes.clone())))
    }

    fn replace_block(&mut self, _: u64, _: &[u8]) -> Result<(), StoreError> {
        Err(changed())
    }

    fn set_attributes(&mut self, _: Attributes) {}

    fn on_disk(&self) -> OnDisk {
        OnDisk::default()
    }

    fn store_synced(&mut self) {}

    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        None
    }

    /// What is printed stays printed.
    fn discard(self: Box<Self>) {}

    fn commit(mut self: Box<Self>) -> Result<Stored, StoreError> {
        self.print()?;
        Ok(Stored::default())
    }
}
