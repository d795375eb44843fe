//! Enumeration of the files and folders of a tree.

use std::sync::Arc;

use super::filter::Filter;
use crate::protocol::Code;
use crate::protocol::Name;
use crate::protocol::blocks::BLOCK_BYTES;
use crate::protocol::{FailedFile, MAX_PAGE_FILES, Page, TreeEntry};
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
    next: Option<TreeEntry>,
    /// Files that cannot be sent, until a page reports them.
    failed: Vec<FailedFile>,
}

#[derive(Debug)]
struct Folder {
    path: String,
    left: std::vec::IntoIter<Found>,
    /// Last name in `left`, if others may follow it in the folder.
    after: Option<String>,
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
            next: None,
            failed: Vec::new(),
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
            self.next = self.next_entry();
        }
        Ok(())
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
        Ok(Page {
            entries,
            failed: self.take_failures(MAX_PAGE_BYTES.saturating_sub(bytes)),
            last: self.next.is_none() && self.folders.is_empty() && self.failed.is_empty(),
        })
    }

    fn fail(&mut self, path: &str, code: Code, reason: String) {
        self.failed.push(FailedFile::new(path, code, reason));
    }

    /// Takes as many failures as fit; the rest is reported with the next page.
    fn take_failures(&mut self, mut room: usize) -> Vec<FailedFile> {
        let fits = |failed: &&FailedFile| {
            let bytes = serde_json::to_vec(failed).map_or(usize::MAX, |json| json.len() + 1);
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        };
        let count = self.failed.iter().take_while(fits).count();
        self.failed.drain(..count).collect()
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
        })
    }

    /// Leaves the innermost folder, or reads on if it has more entries.
    fn next_scan(&mut self) {
        let Some(Folder { path, after, .. }) = self.folders.pop() else {
            return;
        };
        let Some(after) = after else {
            return;
        };
        match self.scan(path.clone(), Some(&after)) {
            Ok(folder) => self.folders.push(folder),
            // What was sent of it stays; the rest is missing and has to be reported.
            Err(error) => self.fail(&path, error.code(), error.to_string()),
        }
    }

    /// Returns the next file or folder; `None` at the end, and when a page has to report failures
    /// first.
    fn next_entry(&mut self) -> Option<TreeEntry> {
        while self.failed.len() < MAX_PENDING_FAILURES {
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
                return Some(entry);
            }
        }
        None
    }

    fn tree_entry(&mut self, path: String, found: Found) -> Option<TreeEntry> {
        let name = match self.name(&path) {
            Ok(name) => name,
            Err(error) => {
                self.fail(&path, Code::NameRefused, error.to_string());
                return None;
            }
        };
        match found.kind {
            FoundKind::File if self.filter.takes_file(&path) => Some(file_entry(path, &found)),
            FoundKind::Folder => {
                if self.folders.len() >= MAX_DEPTH {
                    let reason = format!("more than {MAX_DEPTH} folders in each other");
                    self.fail(&path, Code::NameRefused, reason);
                } else if let Err(error) = self.enter(path.clone()) {
                    self.fail(&path, error.code(), error.to_string());
                }
                let folder = TreeEntry {
                    path,
                    size: None,
                    attributes: found.attributes,
                    source: None,
                    allocated: None,
                };
                self.filter.takes_folders().then_some(folder)
            }
            // Opened through the store, which refuses targets outside its root: a link must not
            // lead out of the tree.
            FoundKind::Link if self.links == Links::Follow && self.filter.takes_file(&path) => {
                let source = self.store.open(&name).ok()?;
                let found = Found {
                    size: source.size(),
                    fingerprint: source.fingerprint(),
                    allocated: source.allocated(),
                    ..found
                };
                Some(file_entry(path, &found))
            }
            FoundKind::File | FoundKind::Link | FoundKind::Other => None,
        }
    }
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
