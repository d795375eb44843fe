//! The files and folders of a tree, one after another.

use std::sync::Arc;

use super::filter::Filter;
use crate::protocol::Code;
use crate::protocol::Name;
use crate::protocol::blocks::BLOCK_BYTES;
use crate::protocol::{Done, Failed, MAX_PAGE_FILES, Page, TreeEntry};
use crate::store::{Found, FoundKind, Store, StoreError};

/// Folders below folders that are looked into.
const MAX_DEPTH: usize = 64;

/// Entries of one folder that are read at once.
const MAX_FOLDER_ENTRIES: usize = 100_000;

/// JSON of one page at most, in bytes; leaves room for the frame around it.
const MAX_PAGE_BYTES: usize = crate::protocol::MAX_MESSAGE_BYTES - 4096;

/// What is done with symbolic links.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// They are left out.
    #[default]
    Skip,
    /// The file that one leads to is carried in its place; links to folders, and out of the
    /// tree's root, are left out.
    Follow,
}

/// Walks through a tree by name, folders before what is in them.
#[derive(Debug)]
pub(crate) struct Walk {
    store: Arc<dyn Store>,
    root: Option<Name>,
    filter: Filter,
    links: Links,
    /// Folders that are being looked into, the innermost last: what is left of each.
    folders: Vec<Folder>,
    begun: bool,
    next: Option<TreeEntry>,
    /// What cannot be sent, until it is said.
    failed: Done,
}

#[derive(Debug)]
struct Folder {
    path: String,
    left: std::vec::IntoIter<Found>,
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
            begun: false,
            next: None,
            failed: Done::default(),
        }
    }

    /// Opens a file of the tree. Blocks.
    pub(crate) fn name(&self, path: &str) -> Result<Name, StoreError> {
        Ok(below(self.root.as_ref(), path)?)
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Looks whether the root can be read; [`page`](Self::page) does so as well. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot.
    pub(crate) fn begin(&mut self) -> Result<(), StoreError> {
        if !self.begun {
            self.enter(String::new())?;
            self.begun = true;
            self.next = self.entry();
        }
        Ok(())
    }

    /// The next entries. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the root cannot be read. What fails below is counted.
    pub(crate) fn page(&mut self) -> Result<Page, StoreError> {
        self.begin()?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        while let Some(entry) = self.next.take() {
            bytes += serde_json::to_vec(&entry).map_or(0, |json| json.len() + 1);
            if entries.len() == MAX_PAGE_FILES || bytes > MAX_PAGE_BYTES {
                self.next = Some(entry);
                break;
            }
            entries.push(entry);
            self.next = self.entry();
        }
        Ok(Page {
            entries,
            last: self.next.is_none(),
            failed: self.said(MAX_PAGE_BYTES.saturating_sub(bytes)),
        })
    }

    /// What fits of the failures; the rest is said with the next page, if there is one.
    fn said(&mut self, mut room: usize) -> Vec<Failed> {
        let fits = |failed: &&Failed| {
            let bytes = serde_json::to_vec(failed).map_or(usize::MAX, |json| json.len() + 1);
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        };
        let count = self.failed.failures.iter().take_while(fits).count();
        self.failed.failures.drain(..count).collect()
    }

    fn enter(&mut self, path: String) -> Result<(), StoreError> {
        let folder = if path.is_empty() {
            self.root.clone()
        } else {
            Some(self.name(&path)?)
        };
        let found = self.store.scan(folder.as_ref(), MAX_FOLDER_ENTRIES)?;
        let left = found.into_iter();
        self.folders.push(Folder { path, left });
        Ok(())
    }

    fn entry(&mut self) -> Option<TreeEntry> {
        loop {
            let folder = self.folders.last_mut()?;
            let Some(found) = folder.left.next() else {
                self.folders.pop();
                continue;
            };
            let path = match folder.path.as_str() {
                "" => found.name.clone(),
                folder => format!("{folder}/{}", found.name),
            };
            if self.filter.excludes(&path) {
                continue;
            }
            if let Some(entry) = self.taken(path, found) {
                return Some(entry);
            }
        }
    }

    fn taken(&mut self, path: String, found: Found) -> Option<TreeEntry> {
        let name = match self.name(&path) {
            Ok(name) => name,
            Err(error) => {
                self.failed
                    .fail(&path, Code::NameRefused, error.to_string());
                return None;
            }
        };
        match found.kind {
            FoundKind::File if self.filter.takes_file(&path) => Some(file(path, &found)),
            FoundKind::Folder => {
                if self.folders.len() >= MAX_DEPTH {
                    let reason = format!("more than {MAX_DEPTH} folders in each other");
                    self.failed.fail(&path, Code::NameRefused, reason);
                } else if let Err(error) = self.enter(path.clone()) {
                    self.failed.fail(&path, error.code(), error.to_string());
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
            FoundKind::Link if self.links == Links::Follow && self.filter.takes_file(&path) => {
                let source = self.store.open(&name).ok()?;
                let found = Found {
                    size: source.size(),
                    fingerprint: source.fingerprint(),
                    allocated: source.allocated(),
                    ..found
                };
                Some(file(path, &found))
            }
            FoundKind::File | FoundKind::Link | FoundKind::Other => None,
        }
    }
}

fn file(path: String, found: &Found) -> TreeEntry {
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

/// A name below a root.
pub(crate) fn below(root: Option<&Name>, path: &str) -> Result<Name, crate::protocol::NameError> {
    match root {
        // Judged alone first: it must not get out of the root, nor be the root itself.
        Some(root) => Name::parse(path).and_then(|_| Name::parse(&format!("{root}/{path}"))),
        None => Name::parse(path),
    }
}
