//! Which files of a page the receiver wants.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::filter::Filter;
use super::walk::below;
use crate::protocol::Code;
use crate::protocol::Name;
use crate::protocol::blocks::BLOCK_BYTES;
use crate::protocol::{Done, Overwrite, Page, TreeEntry, printable};
use crate::store::{Found, FoundKind, Origin, Parked, Sink, Store, StoreError};

/// Files of one page that are gone on with at once: each is open meanwhile.
const MAX_PARKED: usize = 16;

/// The most files and folders of one tree.
const MAX_ENTRIES: u64 = 10_000_000;

/// Where a tree is received, and on which terms.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) store: Arc<dyn Store>,
    /// The folder; `None` for the root.
    pub(crate) root: Option<Name>,
    pub(crate) overwrite: Overwrite,
    pub(crate) filter: Filter,
    /// Nothing is written, and nothing wanted: only what would be is counted.
    pub(crate) dry_run: bool,
    /// What tells this transfer from others to the same place.
    pub(crate) key: String,
}

impl Target {
    /// The same place, where nothing is to happen.
    pub(crate) fn emptied(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            root: None,
            overwrite: self.overwrite,
            filter: Filter::default(),
            dry_run: true,
            key: String::new(),
        }
    }
}

/// A file that is wanted.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Its place in the page.
    pub(crate) index: usize,
    pub(crate) name: Name,
    pub(crate) entry: TreeEntry,
    pub(crate) parked: Option<Parked>,
}

/// Goes through the pages of one tree.
#[derive(Debug)]
pub(crate) struct Decider {
    pub(crate) target: Target,
    /// Where names that differ only in case are one file: each such file's own spelling.
    spellings: BTreeMap<String, String>,
    entries: u64,
    /// The folder of the last file; it is there.
    last_folder: Option<String>,
    pub(crate) done: Done,
}

impl Decider {
    pub(crate) const fn new(target: Target) -> Self {
        Self {
            target,
            spellings: BTreeMap::new(),
            entries: 0,
            last_folder: None,
            done: Done {
                files: 0,
                bytes: 0,
                unchanged: 0,
                skipped: 0,
                failed: 0,
                failures: Vec::new(),
            },
        }
    }

    /// Makes the folder that the tree goes to. Blocks.
    pub(crate) fn begin(&self) -> Result<(), StoreError> {
        match &self.target.root {
            Some(root) if !self.target.dry_run => self.target.store.make_folder(root),
            _ => Ok(()),
        }
    }

    /// What of a page is wanted. Makes its folders. Blocks.
    pub(crate) fn page(&mut self, page: Page) -> Vec<Wanted> {
        for failed in &page.failed {
            let reason = printable(&failed.reason, 200);
            self.done
                .fail(&printable(&failed.path, 200), failed.code, reason);
        }
        let mut wanted = Vec::new();
        let mut parked = 0;
        for (index, entry) in page.entries.into_iter().enumerate() {
            match self.one(&entry) {
                Ok(None) => {}
                Ok(Some(name)) => {
                    let mut file = Wanted {
                        index,
                        name,
                        entry,
                        parked: None,
                    };
                    if parked < MAX_PARKED && !self.target.dry_run {
                        file.parked = self.parked(&file);
                        parked += usize::from(file.parked.is_some());
                    }
                    wanted.push(file);
                }
                Err(error) => self.fail(&entry.path, &error),
            }
        }
        wanted
    }

    pub(crate) fn fail(&mut self, path: &str, error: &StoreError) {
        self.done.fail(path, error.code(), error.to_string());
    }

    /// The name of a file that is wanted.
    fn one(&mut self, entry: &TreeEntry) -> Result<Option<Name>, StoreError> {
        self.entries += 1;
        let name = below(self.target.root.as_ref(), &entry.path)?;
        if self.entries > MAX_ENTRIES {
            self.done
                .fail(&entry.path, Code::DiskFull, "too many files");
            return Ok(None);
        }
        let Some(size) = entry.size else {
            let filter = &self.target.filter;
            let is_meant = filter.takes_folders() && !filter.excludes(&entry.path);
            if is_meant && !self.target.dry_run {
                self.target.store.make_folder(&name)?;
            }
            return Ok(None);
        };
        if !self.target.filter.takes_file(&entry.path) || !self.is_spelt_once(entry) {
            return Ok(None);
        }
        let Some(there) = self.target.store.stat(&name)? else {
            return Ok(Some(name));
        };
        if there.kind == FoundKind::Folder || there.kind == FoundKind::Other {
            return Err(StoreError::NotAFile {
                name: name.to_string(),
            });
        }
        if is_same(&there, size, entry) {
            self.done.unchanged += 1;
            return Ok(None);
        }
        match self.target.overwrite {
            Overwrite::Refuse => Err(StoreError::Exists {
                name: name.to_string(),
            }),
            Overwrite::Skip => {
                self.done.skipped += 1;
                Ok(None)
            }
            Overwrite::Newer if entry.attributes.modified_ns <= there.attributes.modified_ns => {
                self.done.skipped += 1;
                Ok(None)
            }
            Overwrite::Newer | Overwrite::Replace => Ok(Some(name)),
        }
    }

    /// Whether no other file of the tree has the same name but for its case, where that matters.
    fn is_spelt_once(&mut self, entry: &TreeEntry) -> bool {
        if !self.target.store.folds_case() {
            return true;
        }
        let folded = entry.path.to_lowercase();
        let first = self.spellings.entry(folded);
        let first = first.or_insert_with(|| entry.path.clone());
        if *first == entry.path {
            return true;
        }
        let reason = format!("here it is the same file as {first:?}: only the case differs");
        self.done.fail(&entry.path, Code::NameRefused, reason);
        false
    }

    fn key(&self, name: &Name) -> String {
        format!("{} {name}", self.target.key)
    }

    fn parked(&self, file: &Wanted) -> Option<Parked> {
        let (size, source) = (file.entry.size?, file.entry.source.as_deref()?);
        if size <= BLOCK_BYTES {
            return None;
        }
        let key = self.key(&file.name);
        let parked = self.target.store.parked(&file.name, &key, true).ok()??;
        (parked.size == size && parked.source == source).then_some(parked)
    }

    /// The folder of a file comes without being named where only some files are meant.
    fn make_parent(&mut self, name: &Name) -> Result<(), StoreError> {
        let (Some(folder), _) = name.split() else {
            return Ok(());
        };
        if self.last_folder.as_deref() != Some(folder) {
            self.target.store.make_folder(&Name::parse(folder)?)?;
            self.last_folder = Some(folder.to_owned());
        }
        Ok(())
    }

    /// Begins a file that is now of `size` bytes. Blocks.
    pub(crate) fn create(&mut self, file: &Wanted, size: u64) -> Result<Box<dyn Sink>, StoreError> {
        self.make_parent(&file.name)?;
        let overwrite =
            self.target.overwrite != Overwrite::Refuse && self.target.overwrite != Overwrite::Skip;
        match &file.entry.source {
            Some(source) if file.entry.size == Some(size) => {
                let key = self.key(&file.name);
                let origin = Origin {
                    key: &key,
                    source,
                    allocated: file.entry.allocated,
                };
                let store = &self.target.store;
                store.create_parkable(&file.name, size, overwrite, origin)
            }
            _ => self.target.store.create(&file.name, size, overwrite),
        }
    }
}

/// What is there already, as far as can be told without reading it.
fn is_same(there: &Found, size: u64, entry: &TreeEntry) -> bool {
    there.kind == FoundKind::File
        && there.size == size
        && entry.attributes.modified_ns.is_some()
        && entry.attributes.modified_ns == there.attributes.modified_ns
}
