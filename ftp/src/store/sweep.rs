//! Removal of partial files that will not be resumed.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use cap_std::fs::{Dir, DirEntry};

use crate::protocol::{JOURNAL_SUFFIX, PARTIAL_SUFFIX, is_partial};

/// Default age up to which partial files are kept.
pub(super) const KEEP_PARTIALS: Duration = Duration::from_secs(7 * 24 * 3600);

/// Searches a folder and all of those below it; returns the number of removed files.
///
/// Folders that wait for their turn are kept by their paths, not open: however wide and deep the
/// tree is, three descriptors are enough.
pub(super) fn sweep(root: &Dir, keep_partials: Duration) -> io::Result<usize> {
    let mut waiting = Vec::new();
    let mut removed = sweep_folder(root, keep_partials, |name| {
        waiting.push(PathBuf::from(name))
    })?;
    while let Some(path) = waiting.pop() {
        // What was replaced by a link meanwhile leads nowhere but into this root again. What
        // cannot be opened holds nothing of ours, or will be found by the next sweep.
        let Ok(folder) = root.open_dir(&path) else {
            continue;
        };
        let found = |name| waiting.push(path.join(name));
        removed += sweep_folder(&folder, keep_partials, found).unwrap_or(0);
    }
    Ok(removed)
}

/// Removes the partial files of one folder, and reports the folders in it.
fn sweep_folder(
    folder: &Dir,
    keep_partials: Duration,
    mut on_folder: impl FnMut(std::ffi::OsString),
) -> io::Result<usize> {
    let mut removed = 0;
    for entry in folder.entries()?.filter_map(Result::ok) {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            on_folder(entry.file_name());
        } else if kind.is_file() && remove_leftover(folder, &entry, keep_partials) {
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes a file if it is a partial one that will not be resumed, and returns true then.
fn remove_leftover(folder: &Dir, entry: &DirEntry, keep_partials: Duration) -> bool {
    let Ok(file_name) = entry.file_name().into_string() else {
        return false;
    };
    if !is_partial(&file_name) {
        return false;
    }
    if let Some(stem) = file_name.strip_suffix(JOURNAL_SUFFIX) {
        // A journal goes with its file; without one it is useless.
        if !folder.exists(format!("{stem}{PARTIAL_SUFFIX}")) {
            let _ = folder.remove_file(&file_name);
        }
        return false;
    }
    let stem = file_name.strip_suffix(PARTIAL_SUFFIX).unwrap_or(&file_name);
    let journal = format!("{stem}{JOURNAL_SUFFIX}");
    let is_kept = folder.exists(&journal) && age(entry).is_none_or(|age| age < keep_partials);
    if is_kept {
        return false;
    }
    let Ok(file) = entry.open().map(cap_std::fs::File::into_std) else {
        return false;
    };
    let is_removed = file.try_lock().is_ok() && folder.remove_file(&file_name).is_ok();
    if is_removed {
        let _ = folder.remove_file(&journal);
    }
    is_removed
}

/// Time since the last write.
#[expect(
    clippy::disallowed_methods,
    reason = "files of earlier runs are as old as the wall clock says"
)]
fn age(entry: &DirEntry) -> Option<Duration> {
    let written = entry.metadata().ok()?.modified().ok()?.into_std();
    SystemTime::now().duration_since(written).ok()
}
