//! A store in memory, for tests and for transfers in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use super::error::StoreError;
use super::simple;
use super::source_blocks::SourceBlocks;
use super::traits::{
    BlockReader, CreateOptions, Found, PartialOptions, ResumablePartial, Sink, Source, Store,
    Stored,
};
use super::usage::{DiskUsage, FileId, OnDisk, UNIT_BYTES, Usage};
use crate::protocol::Name;
use crate::protocol::blocks::{self, BlockHash};
use crate::protocol::{Attributes, Entry, EntryKind};

/// Memory reserved in advance at most, in bytes, whatever size a client announces.
const MAX_RESERVED_BYTES: u64 = 4 << 20;

/// Files in memory, by name. A clone is another handle on the same files.
#[derive(Clone, Debug, Default)]
pub struct MemStore {
    files: Arc<Mutex<BTreeMap<String, File>>>,
    /// By name and key.
    partials: Arc<Mutex<BTreeMap<(String, String), Recovered>>>,
    versions: Arc<AtomicU64>,
    capacity_bytes: Option<u64>,
}

/// A file, and a number that distinguishes it from earlier ones of the same name.
#[derive(Clone, Debug)]
struct File {
    contents: Bytes,
    version: u64,
}

/// What an interrupted transfer left.
#[derive(Debug)]
struct Recovered {
    size: u64,
    source: String,
    hashes: Vec<BlockHash>,
    written: Vec<u8>,
}

impl MemStore {
    /// Creates an empty store without a limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an empty store that refuses files longer than `capacity_bytes`.
    pub fn with_capacity(capacity_bytes: u64) -> Self {
        Self {
            capacity_bytes: Some(capacity_bytes),
            ..Self::default()
        }
    }

    /// Adds a file, replacing one of the same name.
    pub fn insert(&self, name: &Name, contents: impl Into<Bytes>) {
        let file = self.version(contents.into());
        self.files().insert(name.to_string(), file);
    }

    /// Returns the contents of a file.
    pub fn contents(&self, name: &Name) -> Option<Bytes> {
        let files = self.files();
        files.get(name.as_str()).map(|file| file.contents.clone())
    }

    /// Returns whether the file of that name has exactly these contents. Copies nothing.
    pub fn holds(&self, name: &Name, contents: &[u8]) -> bool {
        self.contents(name).is_some_and(|held| held == contents)
    }

    /// Creates a source that is in no store.
    pub fn source(contents: impl Into<Bytes>) -> Box<dyn Source> {
        Self::source_with(contents, Attributes::default())
    }

    /// Creates a source that is in no store, with the mode and time of a file.
    pub(super) fn source_with(
        contents: impl Into<Bytes>,
        attributes: Attributes,
    ) -> Box<dyn Source> {
        let rest = contents.into();
        Box::new(MemSource {
            whole: rest.clone(),
            rest,
            version: None,
            attributes,
        })
    }

    fn version(&self, contents: Bytes) -> File {
        let version = self.versions.fetch_add(1, Ordering::Relaxed);
        File { contents, version }
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, File>> {
        self.files.lock()
    }
}

impl Store for MemStore {
    fn open(&self, name: &Name) -> Result<Box<dyn Source>, StoreError> {
        let missing = || StoreError::NotFound {
            name: name.to_string(),
        };
        let file = self.files().get(name.as_str()).cloned();
        let file = file.ok_or_else(missing)?;
        Ok(Box::new(MemSource {
            whole: file.contents.clone(),
            rest: file.contents,
            version: Some(file.version),
            attributes: Attributes::default(),
        }))
    }

    fn create(&self, name: &Name, options: CreateOptions<'_>) -> Result<Box<dyn Sink>, StoreError> {
        let CreateOptions {
            size,
            overwrite,
            origin,
        } = options;
        if !overwrite && self.files().contains_key(name.as_str()) {
            return Err(StoreError::Exists {
                name: name.to_string(),
            });
        }
        if let Some(origin) = origin {
            let id = (name.to_string(), origin.key.to_owned());
            self.partials.lock().remove(&id);
        }
        // A resumable file is a large one that arrives over a long time: it grows as it arrives.
        let reserved = match origin {
            Some(_) => 0,
            None => usize::try_from(size.min(MAX_RESERVED_BYTES)).unwrap_or(0),
        };
        Ok(Box::new(MemSink {
            store: self.clone(),
            name: name.clone(),
            overwrite,
            written: Vec::with_capacity(reserved),
            partial: origin.map(|origin| PartialState {
                key: origin.key.to_owned(),
                size,
                source: origin.source.to_owned(),
                hashes: Vec::new(),
            }),
        }))
    }

    fn open_partial(
        &self,
        name: &Name,
        options: PartialOptions<'_>,
    ) -> Result<Option<ResumablePartial>, StoreError> {
        let id = (name.to_string(), options.key.to_owned());
        let Some(recovered) = self.partials.lock().remove(&id) else {
            return Ok(None);
        };
        if options.size.is_some_and(|size| size != recovered.size) {
            return Ok(None);
        }
        let sink = MemSink {
            store: self.clone(),
            name: name.clone(),
            overwrite: options.overwrite,
            written: recovered.written,
            partial: Some(PartialState {
                key: id.1,
                size: recovered.size,
                source: recovered.source.clone(),
                hashes: recovered.hashes.clone(),
            }),
        };
        Ok(Some(ResumablePartial {
            size: recovered.size,
            source: recovered.source,
            hashes: recovered.hashes,
            sink: Box::new(sink),
        }))
    }

    fn stat(&self, name: &Name) -> Result<Option<Found>, StoreError> {
        simple::stat_by_opening(self, name)
    }

    fn scan(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Found>, StoreError> {
        simple::scan_by_listing(self, folder, after, limit)
    }

    fn disk_usage(&self) -> Option<&dyn DiskUsage> {
        Some(self)
    }

    /// Folders exist as parts of names only.
    fn create_folder(&self, _: &Name, _: Option<u32>) -> Result<(), StoreError> {
        Ok(())
    }

    /// No disk is behind this store.
    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn folds_case(&self) -> bool {
        false
    }

    fn list(
        &self,
        folder: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let prefix = folder.map_or_else(String::new, |folder| format!("{folder}/"));
        let files = self.files();
        let mut entries: BTreeMap<&str, Entry> = BTreeMap::new();
        for (name, file) in files.iter() {
            let Some(rest) = name.strip_prefix(&prefix) else {
                continue;
            };
            let (name, kind, size) = match rest.split_once('/') {
                Some((name, _)) => (name, EntryKind::Folder, 0),
                None => (rest, EntryKind::File, file.contents.len() as u64),
            };
            entries.entry(name).or_insert_with(|| Entry {
                name: name.into(),
                kind,
                size,
            });
        }
        if let Some(folder) = folder.filter(|_| entries.is_empty()) {
            return Err(StoreError::NotFound {
                name: folder.to_string(),
            });
        }
        let behind = entries
            .into_values()
            .filter(|e| after.is_none_or(|a| e.name.raw() > a));
        Ok(behind.take(limit).collect())
    }
}

/// What a file of `len` bytes in memory would take on a disk.
fn on_disk(len: usize) -> OnDisk {
    OnDisk {
        usage: Usage::of_file(len as u64, UNIT_BYTES),
        files: Vec::new(),
    }
}

/// As a disk with blocks of the usual size. Folders take nothing.
impl DiskUsage for MemStore {
    fn root_id(&self) -> Option<FileId> {
        Some(FileId {
            device: u64::MAX,
            inode: Arc::as_ptr(&self.files).addr() as u64,
        })
    }

    fn root_mode(&self) -> Option<u32> {
        None
    }

    fn unit(&self) -> u64 {
        UNIT_BYTES
    }

    /// Files that are being written are not among those of the store.
    fn total(&self, _: &BTreeSet<FileId>) -> Result<Usage, StoreError> {
        let files = self.files();
        let partials = self.partials.lock();
        let lengths = files.values().map(|file| file.contents.len());
        let lengths = lengths.chain(partials.values().map(|it| it.written.len()));
        let sum = |total: Usage, len| total.plus(on_disk(len).usage);
        Ok(lengths.fold(Usage::default(), sum))
    }

    fn file(&self, name: &Name) -> OnDisk {
        let files = self.files();
        let file = files.get(name.as_str());
        file.map_or_else(OnDisk::default, |file| on_disk(file.contents.len()))
    }

    fn partial(&self, name: &Name, key: &str) -> OnDisk {
        let partials = self.partials.lock();
        let partial = partials.get(&(name.to_string(), key.to_owned()));
        partial.map_or_else(OnDisk::default, |it| on_disk(it.written.len()))
    }

    fn missing_folders(&self, _: &Name) -> u64 {
        0
    }
}

#[derive(Debug)]
struct MemSource {
    whole: Bytes,
    rest: Bytes,
    version: Option<u64>,
    attributes: Attributes,
}

impl Source for MemSource {
    fn size(&self) -> u64 {
        self.whole.len() as u64
    }

    fn read(&mut self, max: usize) -> Result<Bytes, StoreError> {
        Ok(self.rest.split_to(self.rest.len().min(max)))
    }

    fn allocated(&self) -> Option<u64> {
        None
    }

    fn fingerprint(&self) -> Option<String> {
        let version = self.version?;
        Some(format!("memory {version} {}", self.whole.len()))
    }

    fn attributes(&self) -> Attributes {
        self.attributes
    }

    fn seek(&mut self, offset: u64) -> Result<(), StoreError> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        self.rest = self.whole.slice(offset.min(self.whole.len())..);
        Ok(())
    }

    fn has_changed(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn reopen(&self) -> Result<Box<dyn Source>, StoreError> {
        Ok(Box::new(Self {
            whole: self.whole.clone(),
            rest: self.whole.clone(),
            version: self.version,
            attributes: self.attributes,
        }))
    }
}

#[derive(Debug)]
struct MemSink {
    store: MemStore,
    name: Name,
    overwrite: bool,
    written: Vec<u8>,
    /// `None` once nothing is to be left behind.
    partial: Option<PartialState>,
}

/// What a later transfer needs to resume this one.
#[derive(Debug)]
struct PartialState {
    key: String,
    size: u64,
    source: String,
    hashes: Vec<BlockHash>,
}

impl Drop for MemSink {
    fn drop(&mut self) {
        let Some(partial) = self.partial.take().filter(|it| !it.hashes.is_empty()) else {
            return;
        };
        let mut written = std::mem::take(&mut self.written);
        let verified = blocks::offset(partial.hashes.len() as u64);
        written.truncate(usize::try_from(verified).unwrap_or(usize::MAX));
        let recovered = Recovered {
            size: partial.size,
            source: partial.source,
            hashes: partial.hashes,
            written,
        };
        let id = (self.name.to_string(), partial.key);
        self.store.partials.lock().insert(id, recovered);
    }
}

impl Sink for MemSink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let length = self.written.len() as u64 + bytes.len() as u64;
        if self
            .store
            .capacity_bytes
            .is_some_and(|capacity| length > capacity)
        {
            return Err(StoreError::DiskFull {
                name: self.name.to_string(),
            });
        }
        self.written.extend_from_slice(bytes);
        Ok(())
    }

    fn block_verified(&mut self, hash: BlockHash) -> Result<(), StoreError> {
        if let Some(partial) = &mut self.partial {
            partial.hashes.push(hash);
        }
        Ok(())
    }

    fn reread(&self) -> Result<Box<dyn BlockReader>, StoreError> {
        let held = self.partial.as_ref().map_or(0, |it| it.hashes.len());
        let bytes = usize::try_from(blocks::offset(held as u64)).unwrap_or(usize::MAX);
        let held = &self.written[..bytes.min(self.written.len())];
        Ok(Box::new(SourceBlocks::new(MemStore::source(held.to_vec()))))
    }

    fn replace_block(&mut self, index: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let begin = usize::try_from(blocks::offset(index)).unwrap_or(usize::MAX);
        let place = begin..begin.saturating_add(bytes.len());
        let block = self.written.get_mut(place);
        block
            .ok_or_else(|| StoreError::no_seek(blocks::offset(index)))?
            .copy_from_slice(bytes);
        Ok(())
    }

    /// Files in memory have neither mode nor time.
    fn set_attributes(&mut self, _: Attributes) {}

    fn on_disk(&self) -> OnDisk {
        on_disk(self.written.len())
    }

    fn store_synced(&mut self) {}

    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        None
    }

    fn discard(mut self: Box<Self>) {
        self.partial = None;
    }

    fn commit(mut self: Box<Self>) -> Result<Stored, StoreError> {
        self.partial = None;
        let file = self.store.version(std::mem::take(&mut self.written).into());
        let mut files = self.store.files();
        if !self.overwrite && files.contains_key(self.name.as_str()) {
            return Err(StoreError::Exists {
                name: self.name.to_string(),
            });
        }
        files.insert(self.name.to_string(), file);
        Ok(Stored::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fulfils_the_contract_of_a_store() {
        let store = MemStore::with_capacity(3);
        let name = Name::parse("sub/a").unwrap();
        let mut sink = store.create(&name, CreateOptions::new(3, true)).unwrap();
        sink.write(b"abc").unwrap();
        assert_eq!(store.contents(&name), None);
        assert!(matches!(sink.write(b"d"), Err(StoreError::DiskFull { .. })));
        sink.commit().unwrap();
        assert_eq!(store.open(&name).unwrap().read(10).unwrap(), "abc");
        assert!(store.holds(&name, b"abc"));
        assert!(!store.holds(&name, b"ab") && !store.holds(&Name::parse("b").unwrap(), b"abc"));
        assert!(matches!(
            store.create(&name, CreateOptions::new(1, false)),
            Err(StoreError::Exists { .. })
        ));
        let top = store.list(None, None, 10).unwrap();
        assert_eq!((top[0].name.raw(), top[0].kind), ("sub", EntryKind::Folder));
        let sub = store
            .list(Some(&Name::parse("sub").unwrap()), None, 10)
            .unwrap();
        assert_eq!((sub[0].name.raw(), sub[0].size), ("a", 3));
    }
}
