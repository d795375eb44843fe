//! The check that what arrived is, byte for byte, what was sent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lftp_ftp::{
    Attributes, BlockHash, BlockReader, CreateOptions, DiskUsage, Entry, Found, MemStore, Name,
    OnDisk, PartialOptions, ResumablePartial, Sink, Source, Store, StoreError, Stored,
};

/// Bytes read back at once.
const BLOCK_BYTES: usize = 1 << 20;

/// A check of received files.
pub(super) trait IntegrityCheck: Send + Sync + fmt::Debug {
    /// Returns true if exactly `contents` arrived under `name`.
    fn matches(&self, name: &Name, contents: &Bytes) -> bool;
}

/// Reads the file back from the receiver's store.
#[derive(Debug)]
pub(super) struct ReadBack(pub(super) Arc<dyn Store>);

impl IntegrityCheck for ReadBack {
    fn matches(&self, name: &Name, contents: &Bytes) -> bool {
        let Ok(mut source) = self.0.open(name) else {
            return false;
        };
        let mut rest = &contents[..];
        loop {
            match source.read(BLOCK_BYTES) {
                // The end of the file: right only if it is the end of the contents as well.
                Ok(chunk) if chunk.is_empty() => return rest.is_empty(),
                // In pieces: both files in memory would be twice the largest.
                Ok(chunk) => match rest.strip_prefix(&chunk[..]) {
                    Some(behind) => rest = behind,
                    None => return false,
                },
                Err(_) => return false,
            }
        }
    }
}

/// A store that knows its files beforehand: it serves them, and compares what it receives on
/// arrival instead of keeping it, so that a run in virtual time does not fill memory.
#[derive(Clone, Debug, Default)]
pub(super) struct ExpectedFiles {
    files: Arc<Mutex<BTreeMap<String, File>>>,
}

#[derive(Clone, Debug)]
struct File {
    contents: Bytes,
    has_arrived: bool,
}

impl ExpectedFiles {
    /// Adds a file that will be received or served.
    pub(super) fn expect(&self, name: &Name, contents: Bytes) {
        let file = File {
            contents,
            has_arrived: false,
        };
        self.files().insert(name.to_string(), file);
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contents(&self, name: &Name) -> Result<Bytes, StoreError> {
        match self.files().get(name.as_str()) {
            Some(file) => Ok(file.contents.clone()),
            None => Err(StoreError::NotFound {
                name: name.to_string(),
            }),
        }
    }
}

impl IntegrityCheck for ExpectedFiles {
    fn matches(&self, name: &Name, contents: &Bytes) -> bool {
        let files = self.files();
        let file = files.get(name.as_str()).filter(|file| file.has_arrived);
        file.is_some_and(|file| {
            // The received bytes were compared with these; mostly it is the same memory.
            std::ptr::eq(&file.contents[..], &contents[..]) || file.contents == contents
        })
    }
}

impl Store for ExpectedFiles {
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError> {
        self.contents(name).map(MemStore::source)
    }

    fn create(&self, name: &Name, _: CreateOptions<'_>) -> Result<Box<dyn Sink>, StoreError> {
        Ok(Box::new(Comparison {
            store: self.clone(),
            rest: self.contents(name)?,
            name: name.clone(),
            is_same: true,
        }))
    }

    fn open_partial(
        &self,
        _: &Name,
        _: PartialOptions<'_>,
    ) -> Result<Option<ResumablePartial>, StoreError> {
        Ok(None)
    }

    fn stat(&self, _: &Name) -> Result<Option<Found>, StoreError> {
        Ok(None)
    }

    fn scan(&self, _: Option<&Name>, _: Option<&str>, _: usize) -> Result<Vec<Found>, StoreError> {
        Ok(Vec::new())
    }

    fn disk_usage(&self) -> Option<&dyn DiskUsage> {
        None
    }

    fn create_folder(&self, _: &Name, _: Option<u32>) -> Result<(), StoreError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn folds_case(&self) -> bool {
        false
    }

    fn list(&self, _: Option<&Name>, _: Option<&str>, _: usize) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }
}

#[derive(Debug)]
struct Comparison {
    store: ExpectedFiles,
    name: Name,
    rest: Bytes,
    is_same: bool,
}

impl Sink for Comparison {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        // Reported at the end and not as an error here: the transfer has to run as it would on a
        // disk.
        if self.rest.starts_with(bytes) {
            self.rest = self.rest.slice(bytes.len()..);
        } else {
            self.is_same = false;
        }
        Ok(())
    }

    fn block_verified(&mut self, _: BlockHash) -> Result<(), StoreError> {
        Ok(())
    }

    /// It is never resumed.
    fn reread(&self) -> Result<Box<dyn BlockReader>, StoreError> {
        Err(StoreError::no_seek(0))
    }

    fn replace_block(&mut self, index: u64, _: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::no_seek(index))
    }

    fn set_attributes(&mut self, _: Attributes) {}

    fn on_disk(&self) -> OnDisk {
        OnDisk::default()
    }

    fn store_synced(&mut self) {}

    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        None
    }

    fn discard(self: Box<Self>) {}

    fn commit(self: Box<Self>) -> Result<Stored, StoreError> {
        // At the commit, not at the last byte: a file whose name was refused has not arrived.
        if let Some(file) = self.store.files().get_mut(self.name.as_str()) {
            file.has_arrived = self.is_same && self.rest.is_empty();
        }
        Ok(Stored::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrives(parts: &[&[u8]]) -> bool {
        let (store, name) = (ExpectedFiles::default(), Name::parse("a").unwrap());
        let contents = Bytes::from_static(b"abcdef");
        store.expect(&name, contents.clone());
        let mut sink = store.create(&name, CreateOptions::new(6, true)).unwrap();
        for part in parts {
            sink.write(part).unwrap();
        }
        assert!(
            !store.matches(&name, &contents),
            "not before it is complete"
        );
        sink.commit().unwrap();
        store.matches(&name, &contents)
    }

    #[test]
    fn only_every_byte_in_its_order_is_the_file() {
        assert!(arrives(&[b"abc", b"def"]));
        assert!(!arrives(&[b"abc", b"dex"]));
        assert!(!arrives(&[b"def", b"abc"]));
        assert!(!arrives(&[b"abc"]));
        assert!(!arrives(&[b"abcdef", b"g"]));
    }
}
