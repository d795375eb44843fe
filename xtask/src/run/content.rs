//! The contents of the files.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The contents of each transfer's file.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    files: Vec<Bytes>,
}

impl Content {
    /// The same bytes for each of `count` transfers.
    pub(super) fn given(contents: Bytes, count: usize) -> Self {
        Self {
            files: vec![contents; count],
        }
    }

    /// Incompressible bytes, the same in every run, so that the contents do not matter.
    pub(super) fn generated(sizes: impl Iterator<Item = u64>) -> Self {
        let sizes: Vec<usize> = sizes
            .map(|size| usize::try_from(size).unwrap_or(usize::MAX))
            .collect();
        let most = sizes.iter().copied().max().unwrap_or(0);
        let pattern = pattern(most);
        Self {
            files: sizes
                .into_iter()
                .map(|size| pattern.slice(..size))
                .collect(),
        }
    }

    /// The file of one transfer.
    pub(crate) fn file(&self, index: usize) -> Bytes {
        self.files[index].clone()
    }
}

/// Kept for the next run: the gate starts hundreds of them.
fn pattern(bytes: usize) -> Bytes {
    static LONGEST: Mutex<Bytes> = Mutex::new(Bytes::new());
    let mut longest = LONGEST.lock().unwrap_or_else(PoisonError::into_inner);
    // A prefix of one pattern: runs of different sizes share the memory.
    if longest.len() < bytes {
        let mut contents = vec![0; bytes];
        ChaCha8Rng::seed_from_u64(0).fill_bytes(&mut contents);
        *longest = contents.into();
    }
    longest.slice(..bytes)
}
