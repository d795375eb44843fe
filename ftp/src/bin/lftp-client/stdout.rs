//! A file that goes to standard output: only what is verified, and nothing twice.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lftp_ftp::{BlockHash, Entry, Name, Origin, Parked, Sink, Source, Store, StoreError};

/// The one file that can be received into it. Where the connection is lost, the next try goes
/// on behind what was written.
#[derive(Clone, Default)]
pub(crate) struct Stdout(Arc<Mutex<Written>>);

/// Of the file, so far.
#[derive(Default)]
struct Written {
    size: u64,
    source: String,
    hashes: Vec<BlockHash>,
}

impl fmt::Debug for Stdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stdout")
    }
}

impl Stdout {
    fn written(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, size: u64, source: &str) -> Result<Box<dyn Sink>, StoreError> {
        let mut written = self.written();
        if !written.hashes.is_empty() {
            let changed = io::Error::other("the file was changed after part of it was written");
            return Err(failed(changed));
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

fn failed(error: io::Error) -> StoreError {
    StoreError::from_io("standard output", error)
}

impl Store for Stdout {
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError> {
        let name = name.to_string();
        Err(StoreError::NotFound { name })
    }

    fn create(&self, _: &Name, size: u64, _: bool) -> Result<Box<dyn Sink>, StoreError> {
        self.begin(size, "")
    }

    fn parked(&self, _: &Name, _: &str, _: bool) -> Result<Option<Parked>, StoreError> {
        let written = self.written();
        Ok((!written.hashes.is_empty()).then(|| Parked {
            size: written.size,
            source: written.source.clone(),
            hashes: written.hashes.clone(),
            sink: self.sink(),
        }))
    }

    fn create_parkable(
        &self,
        _: &Name,
        size: u64,
        _: bool,
        origin: Origin<'_>,
    ) -> Result<Box<dyn Sink>, StoreError> {
        self.begin(size, origin.source)
    }

    fn list(&self, _: Option<&Name>, _: Option<&str>, _: usize) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }
}

/// Holds a block back until its hash has come.
#[derive(Debug)]
struct Block {
    stdout: Stdout,
    unverified: Vec<u8>,
}

impl Block {
    fn print(&mut self) -> Result<(), StoreError> {
        let mut stdout = io::stdout().lock();
        let printed = stdout.write_all(&self.unverified);
        self.unverified.clear();
        printed.and_then(|()| stdout.flush()).map_err(failed)
    }
}

impl Sink for Block {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.unverified.extend_from_slice(bytes);
        Ok(())
    }

    fn verified(&mut self, hash: BlockHash) -> Result<(), StoreError> {
        // Also what was written in part must not be written again.
        self.stdout.written().hashes.push(hash);
        self.print()
    }

    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.print()
    }
}
