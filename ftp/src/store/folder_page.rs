//! The first entries of a folder behind a name, in the order of names: its memory is bounded by
//! what is asked for, not by the size of the folder.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;

use cap_std::fs::{Dir, DirEntry, Metadata};

use crate::protocol::is_partial;

/// Reads the first `limit` entries that `wants` and whose names come after `after`, in the order of
/// names, and describes them with `describe`, which is told whether a name is valid UTF-8. Fewer than
/// `limit` are the last.
///
/// # Errors
///
/// [`io::Error`] when the folder cannot be read.
pub(super) fn page<T>(
    folder: &Dir,
    after: Option<&str>,
    limit: usize,
    wants: impl Fn(&str, &DirEntry) -> bool,
    describe: impl Fn(String, bool, &Metadata) -> Option<T>,
) -> io::Result<Vec<T>> {
    let mut described = Vec::new();
    let mut after = after.map(str::to_owned);
    loop {
        let room = limit - described.len();
        let (names, is_last) = first_names(folder, after.as_deref(), room, &wants)?;
        after = names.last_key_value().map(|((name, _), _)| name.clone());
        for ((name, is_not_utf8), entry) in names {
            // What vanished in the meantime makes room for another: fewer than the limit would be
            // taken for the end of the folder.
            let metadata = entry.metadata().ok();
            described.extend(metadata.and_then(|metadata| describe(name, !is_not_utf8, &metadata)));
        }
        if is_last || described.len() == limit {
            return Ok(described);
        }
    }
}

/// A name as it is shown, and whether the real one is not valid UTF-8.
type Key = (String, bool);

/// Returns a name as text, and whether it is that name: bytes that are no UTF-8 are written `\xE9`,
/// so that two different names stay two.
fn shown(name: &OsStr) -> (String, bool) {
    if let Some(name) = name.to_str() {
        return (name.to_owned(), true);
    }
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    (text, false)
}

/// Returns the first `limit` names, and whether no other follows.
fn first_names(
    folder: &Dir,
    after: Option<&str>,
    limit: usize,
    wants: impl Fn(&str, &DirEntry) -> bool,
) -> io::Result<(BTreeMap<Key, DirEntry>, bool)> {
    let mut first: BTreeMap<Key, DirEntry> = BTreeMap::new();
    let mut is_last = true;
    for entry in folder.entries()? {
        let entry = entry?;
        let (name, is_utf8) = shown(&entry.file_name());
        let is_behind = after.is_none_or(|after| name.as_str() > after);
        if !is_behind || is_partial(&name) {
            continue;
        }
        // Most names of a large folder end here, before anything else is asked about them.
        let last = first.last_key_value().map(|(last, _)| last);
        if first.len() == limit && last.is_none_or(|(last, _)| name > *last) {
            is_last = is_last && !wants(&name, &entry);
            continue;
        }
        if wants(&name, &entry) {
            first.insert((name, !is_utf8), entry);
            if first.len() > limit {
                first.pop_last();
                is_last = false;
            }
        }
    }
    Ok((first, is_last))
}
