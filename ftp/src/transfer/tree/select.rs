//! Selection of the files that the receiver wants of a page.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::filter::Filter;
use super::walk::below;
use crate::protocol::blocks::BLOCK_BYTES;
use crate::protocol::{Code, Name, Overwrite, Page, TreeEntry, TreeSummary};
use crate::store::{
    CreateOptions, Found, FoundKind, Origin, PartialOptions, ResumablePartial, Sink, Store,
    StoreError,
};
use crate::transfer::receive::warn_without_attributes;

/// Partial files of one page that are resumed: each stays open until its turn comes.
const MAX_PARTIALS: usize = 16;

/// Files and folders of one tree at most.
const MAX_ENTRIES: u64 = 10_000_000;

/// Destination of a tree, and the terms on which its files are wanted.
#[derive(Debug)]
pub(crate) struct TreeTarget {
    pub(crate) store: Arc<dyn Store>,
    /// Folder that the tree goes to; `None` for the root of the store.
    pub(crate) root: Option<Name>,
    pub(crate) overwrite: Overwrite,
    pub(crate) filter: Filter,
    /// True if nothing is written or wanted, and only counted.
    pub(crate) dry_run: bool,
    /// Name that distinguishes this transfer from others to the same destination.
    pub(crate) key: String,
    /// Mode of the sender's folder.
    pub(crate) mode: Option<u32>,
}

impl TreeTarget {
    /// A target in the same store that nothing is written to.
    pub(crate) fn inert(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            root: None,
            overwrite: self.overwrite,
            filter: Filter::default(),
            dry_run: true,
            key: String::new(),
            mode: None,
        }
    }
}

/// A wanted file of a page.
#[derive(Debug)]
pub(crate) struct WantedFile {
    /// Index in the page.
    pub(crate) index: usize,
    pub(crate) name: Name,
    pub(crate) entry: TreeEntry,
    /// What an interrupted transfer left of it.
    pub(crate) partial: Option<ResumablePartial>,
    /// The offered folders on its path that are created with it, and their modes.
    folders: Vec<(Name, Option<u32>)>,
}

/// Selects files from the pages of one tree, and counts what becomes of them.
#[derive(Debug)]
pub(crate) struct FileSelector {
    pub(crate) target: TreeTarget,
    /// First spelling of each name, where names that differ only in case are one file.
    spellings: BTreeMap<String, String>,
    entries: u64,
    /// Folder of the last file, which exists.
    last_folder: Option<String>,
    /// The innermost folder that was offered, behind those that it is in, where these are created
    /// with their files.
    folders: Vec<(Name, Option<u32>)>,
    /// Whether the user knows that attributes cannot be kept.
    has_warned: bool,
    pub(crate) summary: TreeSummary,
}

impl FileSelector {
    pub(crate) const fn new(target: TreeTarget) -> Self {
        Self {
            target,
            spellings: BTreeMap::new(),
            entries: 0,
            last_folder: None,
            folders: Vec::new(),
            has_warned: false,
            summary: TreeSummary {
                files: 0,
                bytes: 0,
                unchanged: 0,
                skipped: 0,
                failed: 0,
                failures: Vec::new(),
                skips: Vec::new(),
            },
        }
    }

    /// Creates the folder that the tree goes to. Blocks.
    pub(crate) fn start(&self) -> Result<(), StoreError> {
        match &self.target.root {
            Some(root) if !self.target.dry_run => {
                self.target.store.create_folder(root, self.target.mode)
            }
            _ => Ok(()),
        }
    }

    /// Selects the wanted files of a page, and creates its folders. Blocks.
    pub(crate) fn select(&mut self, page: Page) -> Vec<WantedFile> {
        for failed in &page.failed {
            let reason = failed.reason.clone();
            self.summary.fail(failed.path.raw(), failed.code, reason);
        }
        for skipped in &page.skipped {
            let reason = skipped.reason.clone();
            self.summary.skip(skipped.path.raw(), skipped.code, reason);
        }
        let mut wanted = Vec::new();
        let mut partials = 0;
        for (index, entry) in page.entries.into_iter().enumerate() {
            match self.wanted_name(&entry) {
                Ok(None) => {}
                Ok(Some(name)) => {
                    let mut file = WantedFile {
                        index,
                        folders: self.folders_of(&name),
                        name,
                        entry,
                        partial: None,
                    };
                    // Each has an open file. Those beyond are sent from the beginning.
                    if partials < MAX_PARTIALS && !self.target.dry_run {
                        file.partial = self.open_partial(&file);
                        partials += usize::from(file.partial.is_some());
                    }
                    wanted.push(file);
                }
                Err(error) => self.fail(&entry.path, &error),
            }
        }
        wanted
    }

    pub(crate) fn fail(&mut self, path: &str, error: &StoreError) {
        self.summary.fail(path, error.code(), error.to_string());
    }

    /// Returns the name of a file if it is wanted; `None` for folders and unwanted files.
    fn wanted_name(&mut self, entry: &TreeEntry) -> Result<Option<Name>, StoreError> {
        self.entries += 1;
        // Checked for each entry: the sender may be hostile.
        let name = below(self.target.root.as_ref(), &entry.path)?;
        // Spellings are kept per entry: a peer that never ends must not fill the memory.
        if self.entries > MAX_ENTRIES {
            let reason = format!("more than {MAX_ENTRIES} files and folders in one tree");
            self.summary.fail(&entry.path, Code::DiskFull, reason);
            return Ok(None);
        }
        let Some(size) = entry.size else {
            let filter = &self.target.filter;
            let is_wanted = !filter.excludes(&entry.path) && !self.target.dry_run;
            if is_wanted && filter.takes_folders() {
                let mode = entry.attributes.mode;
                self.target.store.create_folder(&name, mode)?;
            } else if is_wanted {
                // It comes with the first of its files, and must be no more public then.
                self.folders.retain(|(folder, _)| contains(folder, &name));
                self.folders.push((name, entry.attributes.mode));
            }
            return Ok(None);
        };
        if !self.target.filter.takes_file(&entry.path) || !self.is_spelled_once(entry) {
            return Ok(None);
        }
        let Some(existing) = self.target.store.stat(&name)? else {
            return Ok(Some(name));
        };
        // A folder, a device or a pipe is never replaced by a file, whatever the client allows.
        if existing.kind == FoundKind::Folder || existing.kind == FoundKind::Other {
            return Err(StoreError::NotAFile {
                name: name.to_string(),
            });
        }
        // Before `overwrite` is looked at: a file that is the same is neither refused nor counted
        // as skipped.
        if is_same(&existing, size, entry) {
            self.summary.unchanged += 1;
            return Ok(None);
        }
        match self.target.overwrite {
            Overwrite::Refuse => Err(StoreError::Exists {
                name: name.to_string(),
            }),
            Overwrite::Skip => {
                self.summary.skipped += 1;
                Ok(None)
            }
            // Equal times are not newer, and a source without a time is newer than nothing.
            Overwrite::Newer if entry.attributes.modified_ns <= existing.attributes.modified_ns => {
                self.summary.skipped += 1;
                Ok(None)
            }
            Overwrite::Newer | Overwrite::Replace => Ok(Some(name)),
        }
    }

    /// Returns whether the file is the only one of its name, where case does not distinguish names.
    fn is_spelled_once(&mut self, entry: &TreeEntry) -> bool {
        // Only where the file system does: elsewhere both names are files of their own.
        if !self.target.store.folds_case() {
            return true;
        }
        let folded = entry.path.to_lowercase();
        let first = self.spellings.entry(folded);
        let first = first.or_insert_with(|| entry.path.clone());
        if *first == entry.path {
            return true;
        }
        let reason =
            format!("it is the same file as {first:?} on the receiver: only the case differs");
        self.summary.fail(&entry.path, Code::NameRefused, reason);
        false
    }

    /// Returns the offered folders on the path of a file, where they are created with it.
    fn folders_of(&self, file: &Name) -> Vec<(Name, Option<u32>)> {
        let folders = self.folders.iter();
        let folders = folders.filter(|(folder, _)| contains(folder, file));
        folders.cloned().collect()
    }

    fn key(&self, name: &Name) -> String {
        format!("{} {name}", self.target.key)
    }

    fn open_partial(&self, file: &WantedFile) -> Option<ResumablePartial> {
        let size = file.entry.size?;
        // Without a whole block, or without a fingerprint of the source, nothing was kept.
        if size <= BLOCK_BYTES || file.entry.source.is_none() {
            return None;
        }
        let key = self.key(&file.name);
        let options = PartialOptions::new(&key, true).of_size(size);
        // An error, if it matters, is reported when the file is created.
        self.target.store.open_partial(&file.name, options).ok()?
    }

    /// Creates the folder of a file: with an `include` filter folders are not created by themselves.
    fn create_parent(&mut self, file: &WantedFile) -> Result<(), StoreError> {
        let (Some(folder), _) = file.name.split() else {
            return Ok(());
        };
        // Files come folder by folder: one call serves all of a folder's.
        if self.last_folder.as_deref() != Some(folder) {
            for (folder, mode) in &file.folders {
                self.target.store.create_folder(folder, *mode)?;
            }
            let store = &self.target.store;
            store.create_folder(&Name::parse(folder)?, None)?;
            self.last_folder = Some(folder.to_owned());
        }
        Ok(())
    }

    /// Warns, once, that files arrive without their modes or times.
    pub(crate) fn warn_without_attributes(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.has_warned, true) {
            warn_without_attributes(error);
        }
    }

    /// Creates a file that has `size` bytes by now. Blocks.
    pub(crate) fn create(
        &mut self,
        file: &WantedFile,
        size: u64,
    ) -> Result<Box<dyn Sink>, StoreError> {
        self.create_parent(file)?;
        let overwrite =
            self.target.overwrite != Overwrite::Refuse && self.target.overwrite != Overwrite::Skip;
        let store = &self.target.store;
        let options = CreateOptions::new(size, overwrite);
        match &file.entry.source {
            Some(source) if file.entry.size == Some(size) => {
                let key = self.key(&file.name);
                let origin = Origin {
                    key: &key,
                    source,
                    allocated: file.entry.allocated,
                };
                store.create(&file.name, options.resumable(origin))
            }
            // The file changed since it was offered: the fingerprint is that of another version.
            _ => store.create(&file.name, options),
        }
    }
}

/// Returns whether `name` is in this folder, or below it.
fn contains(folder: &Name, name: &Name) -> bool {
    let rest = name.as_str().strip_prefix(folder.as_str());
    rest.is_some_and(|rest| rest.starts_with('/'))
}

/// Returns whether the existing file is the offered one, judged by size and time as rsync does: it
/// is not read.
fn is_same(existing: &Found, size: u64, entry: &TreeEntry) -> bool {
    existing.kind == FoundKind::File
        && existing.size == size
        && entry.attributes.modified_ns.is_some()
        && entry.attributes.modified_ns == existing.attributes.modified_ns
}
