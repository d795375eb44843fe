//! The file to transfer, and the versions that replace it.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::plan::{Edit, Plan};

/// The file's name.
pub(super) const FILE: &str = "file.bin";

/// The granularity of holes, bytes.
const PAGE: usize = 4096;

/// The file of the sender, and what it was before.
#[derive(Debug)]
pub(super) struct SourceFile {
    folder: PathBuf,
    rng: ChaCha8Rng,
    /// Oldest first.
    versions: Vec<Bytes>,
    /// Modification time of the present version, seconds since 1970. Real time hardly passes
    /// between two versions.
    modified: u64,
}

impl SourceFile {
    /// Creates the file in its folder.
    pub(super) fn create(plan: &Plan, folder: &Path) -> io::Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed ^ 0xf11e);
        let has_holes = rng.random_ratio(1, 4);
        let mut first = vec![0; plan.size];
        rng.fill_bytes(&mut first);
        // Runs of zeros, in some files: sparse files have code of their own on both sides.
        if has_holes {
            for page in first.chunks_mut(16 * PAGE) {
                if rng.random() {
                    page.fill(0);
                }
            }
        }
        let source = Self {
            folder: folder.into(),
            rng,
            versions: vec![first.into()],
            modified: 1_500_000_000,
        };
        place(&source.path(), &source.versions[0], Some(source.time()))?;
        Ok(source)
    }

    /// Returns all versions, oldest first; the last one is the present one.
    pub(super) fn versions(&self) -> &[Bytes] {
        &self.versions
    }

    fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.modified)
    }

    /// Returns the present version with other bytes somewhere. Mostly it is the same file, so that
    /// a wrong block is not noticed by chance.
    fn changed(&mut self) -> (Vec<u8>, Range<usize>) {
        let mut next = self.versions[self.versions.len() - 1].to_vec();
        let at = self.rng.random_range(0..=next.len());
        let end = self.rng.random_range(at..=next.len());
        self.rng.fill_bytes(&mut next[at..end]);
        (next, at..end)
    }

    /// Puts another file under the name, at once and as a whole.
    pub(super) fn replace(&mut self) -> io::Result<()> {
        let (mut next, _) = self.changed();
        // Other sizes as well: they are noticed at another place than other blocks.
        if self.rng.random() {
            next.truncate(self.rng.random_range(0..=next.len()));
        }
        self.modified += 1;
        place(&self.path(), &next, Some(self.time()))?;
        self.versions.push(next.into());
        Ok(())
    }

    /// Overwrites a part of the file where it is.
    pub(super) fn edit(&mut self, edit: Edit) -> io::Result<()> {
        let (next, range) = self.changed();
        let file = File::options().write(true).open(self.path())?;
        file.write_all_at(&next[range.clone()], range.start as u64)?;
        if matches!(edit, Edit::Dated) {
            self.modified += 1;
        }
        file.set_modified(self.time())?;
        self.versions.push(next.into());
        Ok(())
    }
}

/// Returns the receiver's file before the transfer.
pub(super) fn older(seed: u64) -> Bytes {
    format!("the file of before {seed}").into()
}

/// Puts a file at a path, at once and as a whole; zeros become holes.
pub(super) fn place(path: &Path, contents: &[u8], modified: Option<SystemTime>) -> io::Result<()> {
    let beside = path.with_file_name("beside");
    let file = File::create(&beside)?;
    file.set_len(contents.len() as u64)?;
    for (page, at) in contents.chunks(PAGE).zip((0..).step_by(PAGE)) {
        if page.iter().any(|&byte| byte != 0) {
            file.write_all_at(page, at)?;
        }
    }
    if let Some(modified) = modified {
        file.set_modified(modified)?;
    }
    fs::rename(&beside, path)
}
