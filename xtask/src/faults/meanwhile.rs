//! Changes of a machine's files while it is down.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rand::{Rng, RngExt};

use super::count::Count;
use super::source::place;

/// Bytes that change in a file that rots, at most.
const ROTTEN_BYTES: u64 = 4;

/// The plain files of a folder, by name.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}

/// Changes bytes of partial files and journals; their modification times stay.
pub(super) fn rot(folder: &Path, rng: &mut impl Rng, count: &Count) -> io::Result<()> {
    for path in files(folder)? {
        let what = match path.extension().and_then(|extension| extension.to_str()) {
            Some("part") => "disk: a partial file rots",
            Some("journal") => "disk: a journal rots",
            _ => continue,
        };
        let file = File::options().write(true).read(true).open(&path)?;
        let metadata = file.metadata()?;
        if metadata.len() == 0 || rng.random() {
            continue;
        }
        for _ in 0..rng.random_range(1..=ROTTEN_BYTES) {
            let at = rng.random_range(0..metadata.len());
            let mut byte = [0];
            file.read_exact_at(&mut byte, at)?;
            byte[0] ^= rng.random_range(1..=u8::MAX);
            file.write_all_at(&byte, at)?;
        }
        file.set_modified(metadata.modified()?)?;
        count.one(what);
    }
    Ok(())
}

/// Gives every file another inode, with the same bytes and modification time.
pub(super) fn remount(folder: &Path, count: &Count) -> io::Result<()> {
    for path in files(folder)? {
        // Not `fs::copy`: how many blocks it leaves allocated depends on what the system has
        // written back so far, and a seed has to give the same run again.
        let modified = fs::metadata(&path)?.modified()?;
        place(&path, &fs::read(&path)?, Some(modified))?;
    }
    count.one("disk: mounted again");
    Ok(())
}
