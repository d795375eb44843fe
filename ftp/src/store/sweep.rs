//! Removal of partial files that will not be resumed.

use std::io;
use std::time::{Duration, SystemTime};

use cap_std::fs::{Dir, DirEntry};

use crate::protocol::{JOURNAL_SUFFIX, PARTIAL_SUFFIX, is_partial};

/// Default age up to which partial files are kept.
pub(super) const KEEP_PARTIALS: Duration = Duration::from_secs(7 * 24 * 3600);

/// Nesting of folders that is searched.
const MAX_DEPTH: usize = 16;

/// Searches a folder and those below it; returns the number of removed files.
pub(super) fn sweep(root: &Dir, keep_partials: Duration) -> io::Result<usize> {
    let mut removed = sweep_folder(root, keep_partials)?;
    let mut folders: Vec<(Dir, usize)> = subfolders(root, 1);
    while let Some((folder, depth)) = folders.pop() {
        removed += sweep_folder(&folder, keep_partials).unwrap_or(0);
        if depth < MAX_DEPTH {
            folders.extend(subfolders(&folder, depth + 1));
        }
    }
    Ok(removed)
}

fn subfolders(folder: &Dir, depth: usize) -> Vec<(Dir, usize)> {
    let Ok(entries) = folder.entries() else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.open_dir().ok().map(|dir| (dir, depth)))
        .collect()
}

fn sweep_folder(folder: &Dir, keep_partials: Duration) -> io::Result<usize> {
    let mut removed = 0;
    for entry in folder.entries()? {
        let entry = entry?;
        let Ok(file_name) = entry.file_name().into_string() else {
            continue;
        };
        if !is_partial(&file_name) || !entry.file_type()?.is_file() {
            continue;
        }
        if let Some(stem) = file_name.strip_suffix(JOURNAL_SUFFIX) {
            // A journal goes with its file; without one it is useless.
            if !folder.exists(format!("{stem}{PARTIAL_SUFFIX}")) {
                let _ = folder.remove_file(&file_name);
            }
            continue;
        }
        let stem = file_name.strip_suffix(PARTIAL_SUFFIX).unwrap_or(&file_name);
        let journal = format!("{stem}{JOURNAL_SUFFIX}");
        let is_kept = folder.exists(&journal) && age(&entry).is_none_or(|age| age < keep_partials);
        let Ok(file) = entry.open().map(cap_std::fs::File::into_std) else {
            continue;
        };
        if !is_kept && file.try_lock().is_ok() && folder.remove_file(&file_name).is_ok() {
            let _ = folder.remove_file(&journal);
            removed += 1;
        }
    }
    Ok(removed)
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
