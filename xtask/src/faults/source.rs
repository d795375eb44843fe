//! The file to transfer, and the versions that replace it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::plan::Plan;

/// The file's name.
pub(super) const FILE: &str = "file.bin";

/// The granularity of holes, bytes.
const PAGE: usize = 4096;

/// Returns the versions that the sender has, one after another.
pub(super) fn versions(plan: &Plan) -> Vec<Bytes> {
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
    let mut versions = vec![first];
    for _ in &plan.replacements {
        let mut next = versions[versions.len() - 1].clone();
        // Mostly the same file, so that a wrong block is not noticed by chance.
        let at = rng.random_range(0..=next.len());
        let end = rng.random_range(at..=next.len());
        rng.fill_bytes(&mut next[at..end]);
        // Other sizes as well: they are noticed at another place than other blocks.
        if rng.random() {
            next.truncate(rng.random_range(0..=next.len()));
        }
        versions.push(next);
    }
    versions.into_iter().map(Bytes::from).collect()
}

/// Returns the receiver's file before the transfer.
pub(super) fn older(seed: u64) -> Bytes {
    format!("the file of before {seed}").into()
}

/// Puts a file into a folder under the file's name at once and as a whole; zeros become holes.
pub(super) fn place(folder: &Path, contents: &[u8]) -> io::Result<()> {
    let beside = folder.join("beside");
    let file = File::create(&beside)?;
    file.set_len(contents.len() as u64)?;
    for (page, at) in contents.chunks(PAGE).zip((0..).step_by(PAGE)) {
        if page.iter().any(|&byte| byte != 0) {
            file.write_all_at(page, at)?;
        }
    }
    // As programs replace files: an open handle keeps the old version.
    fs::rename(&beside, folder.join(FILE))
}
