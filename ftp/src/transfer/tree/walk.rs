//! Enumeration of the files and folders of a tree.

use std::collections::VecDeque;
use std::sync::Arc;

use super::filter::Filter;
use crate::protocol::Code;
use crate::protocol::blocks::BLOCK_BYTES;
use crate::protocol::{FailedFile, MAX_PAGE_FILES, Name, NameFault, Page, TreeEntry};
use crate::store::{Found, FoundKind, Store, StoreError};

/// Nesting of folders at most.
const MAX_DEPTH: usize = 64;

/// Entries of a folder that are in memory at once; a larger folder is read several times.
const SCANNED_ENTRIES: usize = 10_000;

/// Failures that wait for a page at most: the walk goes on when one has taken them.
const MAX_PENDING_FAILURES: usize = 100;

/// JSON of one page at most, in bytes; leaves room for the frame around it.
const MAX_PAGE_BYTES: usize = crate::protocol::MAX_MESSAGE_BYTES - 4096;

/// Treatment of symbolic links.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Links are left out.
    #[default]
    Skip,
    /// The file that a link points to takes its place; links to folders, and out of the tree's
    /// root, are left out.
    Follow,
}

/// A walk through a tree in the order of names, folders before their contents.
#[derive(Debug)]
pub(crate) struct Walk {
    store: Arc<dyn Store>,
    root: Option<Name>,
    filter: Filter,
    links: Links,
    /// Open folders, the innermost last.
    folders: Vec<Folder>,
    started: bool,
    root_mode: Option<u32>,
    next: Option<TreeEntry>,
    /// Entries behind the next.
    ready: VecDeque<TreeEntry>,
    /// Files that cannot be sent, until a page reports them.
    failed: Vec<FailedFile>,
    /// What is no file, until a page reports it.
    skipped: Vec<FailedFile>,
}

#[derive(Debug)]
struct Folder {
    path: String,
    left: std::vec::IntoIter<Found>,
    /// Last name in `left`, if others may follow it in the folder.
    after: Option<String>,
    /// Its own entry, while it waits for the first file that is taken.
    entry: Option<TreeEntry>,
}

impl Walk {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        root: Option<Name>,
        filter: Filter,
        links: Links,
    ) -> Self {
        Self {
            store,
            root,
            filter,
            links,
            folders: Vec::new(),
            started: false,
            root_mode: None,
            next: None,
            ready: VecDeque::new(),
            failed: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Name in the store of a path in the tree.
    pub(crate) fn name(&self, path: &str) -> Result<Name, StoreError> {
        Ok(below(self.root.as_ref(), path)?)
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Reads the root, which [`page`](Self::page) otherwise does. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot.
    pub(crate) fn start(&mut self) -> Result<(), StoreError> {
        if !self.started {
            self.enter(String::new())?;
            self.started = true;
            self.root_mode = match &self.root {
                Some(root) => self.store.stat(root)?.and_then(|it| it.attributes.mode),
                None => self.store.disk_usage().and_then(|disk| disk.root_mode()),
            };
            self.next = self.next_entry();
        }
        Ok(())
    }

    /// Returns the mode of the root, once it was read.
    pub(crate) const fn root_mode(&self) -> Option<u32> {
        self.root_mode
    }

    /// Returns the next entries. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the root cannot be read. Failures below it are part of the page.
    pub(crate) fn page(&mut self) -> Result<Page, StoreError> {
        self.start()?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        // A page that only reported failures has left it open whether there is another entry.
        self.next = self.next.take().or_else(|| self.next_entry());
        while let Some(entry) = self.next.take() {
            bytes += serde_json::to_vec(&entry).map_or(0, |json| json.len() + 1);
            // Kept for the next page: a message has a limit.
            if entries.len() == MAX_PAGE_FILES || bytes > MAX_PAGE_BYTES {
                self.next = Some(entry);
                break;
            }
            entries.push(entry);
            self.next = self.next_entry();
        }
        let mut room = MAX_PAGE_BYTES.saturating_sub(bytes);
        let failed = take(&mut self.failed, &mut room);
        let skipped = take(&mut self.skipped, &mut room);
        Ok(Page {
            entries,
            last: self.next.is_none() && self.folders.is_empty() && self.left_out() == 0,
            failed,
            skipped,
        })
    }

    fn fail(&mut self, path: &str, code: Code, reason: String) {
        self.failed.push(FailedFile::new(path, code, reason));
    }

    /// Number of files and others that no page has reported yet.
    const fn left_out(&self) -> usize {
        self.failed.len() + self.skipped.len()
    }

    fn enter(&mut self, path: String) -> Result<(), StoreError> {
        let folder = self.scan(path, None)?;
        self.folders.push(folder);
        Ok(())
    }

    /// Reads the entries of a folder that come after a name.
    fn scan(&self, path: String, after: Option<&str>) -> Result<Folder, StoreError> {
        let folder = if path.is_empty() {
            self.root.clone()
        } else {
            Some(self.name(&path)?)
        };
        let found = self.store.scan(folder.as_ref(), after, SCANNED_ENTRIES)?;
        let last = found.last().filter(|_| found.len() == SCANNED_ENTRIES);
        Ok(Folder {
            path,
            after: last.map(|last| last.name.clone()),
            left: found.into_iter(),
            entry: None,
        })
    }

    /// Leaves the innermost folder, or reads on if it has more entries.
    fn next_scan(&mut self) {
        let Some(Folder {
            path, after, entry, ..
        }) = self.folders.pop()
        else {
            return;
        };
        let Some(after) = after else {
            return;
        };
        match self.scan(path.clone(), Some(&after)) {
            Ok(folder) => self.folders.push(Folder { entry, ..folder }),
            // What was sent of it stays; the rest is missing and has to be reported.
            Err(error) => self.fail(&path, error.code(), error.to_string()),
        }
    }

    /// Returns the next file or folder; `None` at the end, and when a page has to report failures
    /// first.
    fn next_entry(&mut self) -> Option<TreeEntry> {
        while self.left_out() < MAX_PENDING_FAILURES {
            if let Some(entry) = self.ready.pop_front() {
                return Some(entry);
            }
            let folder = self.folders.last_mut()?;
            let Some(found) = folder.left.next() else {
                self.next_scan();
                continue;
            };
            let path = match folder.path.as_str() {
                "" => found.name.clone(),
                folder => format!("{folder}/{}", found.name),
            };
            // Before the folder is read: what is excluded may be large, or not readable.
            if self.filter.excludes(&path) {
                continue;
            }
            if let Some(entry) = self.tree_entry(path, found) {
                // Folders that are not sent by themselves go before the first of their files: the
                // receiver is to know their modes.
                let folders = self.folders.iter_mut();
                self.ready.extend(folders.filter_map(|it| it.entry.take()));
                self.ready.push_back(entry);
            }
        }
        None
    }

    fn tree_entry(&mut self, path: String, found: Found) -> Option<TreeEntry> {
        if found.kind == FoundKind::NotUtf8 {
            let reason = NameFault::NotUtf8.to_string();
            self.fail(&path, Code::NameRefused, reason);
            return None;
        }
        let name = match self.name(&path) {
            Ok(name) => name,
            Err(error) => {
                self.fail(&path, Code::NameRefused, error.to_string());
                return None;
            }
        };
        match found.kind {
            FoundKind::File if self.filter.takes_file(&path) => Some(file_entry(path, &found)),
            FoundKind::Folder => self.folder_entry(path, &found),
            FoundKind::Link | FoundKind::Other if self.filter.takes_file(&path) => {
                self.other_entry(path, &name, found)
            }
            FoundKind::File | FoundKind::Link | FoundKind::Other | FoundKind::NotUtf8 => None,
        }
    }

    fn folder_entry(&mut self, path: String, found: &Found) -> Option<TreeEntry> {
        let entry = TreeEntry {
            path: path.clone(),
            size: None,
            attributes: found.attributes,
            source: None,
            allocated: None,
        };
        if self.folders.len() >= MAX_DEPTH {
            let reason = format!("more than {MAX_DEPTH} folders in each other");
            self.fail(&path, Code::NameRefused, reason);
        } else if let Err(error) = self.enter(path.clone()) {
            self.fail(&path, error.code(), error.to_string());
        } else if !self.filter.takes_folders() {
            if let Some(folder) = self.folders.last_mut() {
                folder.entry = Some(entry);
            }
            return None;
        }
        self.filter.takes_folders().then_some(entry)
    }

    /// Returns the entry of the file that a link points to. What is no file is skipped, and said so.
    fn other_entry(&mut self, path: String, name: &Name, found: Found) -> Option<TreeEntry> {
        let reason = match (found.kind, self.links) {
            // Opened through the store, which refuses targets outside its root: a link must not
            // lead out of the tree.
            (FoundKind::Link, Links::Follow) => match self.store.open(name) {
                Ok(source) => {
                    let target = Found {
                        size: source.size(),
                        attributes: source.attributes(),
                        fingerprint: source.fingerprint(),
                        allocated: source.allocated(),
                        ..found
                    };
                    return Some(file_entry(path, &target));
                }
                Err(StoreError::NotFound { .. }) => "a link to nothing",
                Err(StoreError::NotAFile { .. }) => "a link to what is no file",
                Err(StoreError::OutsideRoot { .. }) => "a link out of the folder",
                Err(error) => {
                    self.fail(&path, error.code(), error.to_string());
                    return None;
                }
            },
            (FoundKind::Link, Links::Skip) => "a link, and links are not followed",
            _ => "no file: a pipe, a socket or a device",
        };
        self.skipped
            .push(FailedFile::new(&path, Code::NotAFile, reason));
        None
    }
}

/// Takes as many names as fit; the rest waits for the next page.
fn take(names: &mut Vec<FailedFile>, room: &mut usize) -> Vec<FailedFile> {
    let fits = |failed: &&FailedFile| {
        let bytes = serde_json::to_vec(failed).map_or(usize::MAX, |json| json.len() + 1);
        let fits = bytes <= *room;
        *room = room.saturating_sub(bytes);
        fits
    };
    let count = names.iter().take_while(fits).count();
    names.drain(..count).collect()
}

fn file_entry(path: String, found: &Found) -> TreeEntry {
    TreeEntry {
        path,
        size: Some(found.size),
        attributes: found.attributes,
        source: found
            .fingerprint
            .clone()
            .filter(|_| found.size > BLOCK_BYTES),
        allocated: found.allocated,
    }
}

/// Name of a path below a root.
pub(crate) fn below(root: Option<&Name>, path: &str) -> Result<Name, crate::protocol::NameError> {
    match root {
        // Parsed alone first: `..` must not leave the root, nor an absolute path replace it.
        Some(root) => Name::parse(path).and_then(|_| Name::parse(&format!("{root}/{path}"))),
        None => Name::parse(path),
    }
}
