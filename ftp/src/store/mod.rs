//! Where files come from and go to.
//!
//! | module | what |
//! |---|---|
//! | `traits`, `error` | the contract of every store |
//! | `dir` | a folder of the file system ([`DirStore`]), with `partial`, `partial_store`, `journal`, `preallocation`, `sweep` for files that are not complete, `folder_page` for listings, and `disk` under all of them |
//! | `mode` | permission bits of what is received |
//! | `memory` | files in memory, for tests and virtual time ([`MemStore`]) |
//! | `pattern`, `digest` | files of any size that keep no bytes ([`PatternSource`], [`HashStore`]) |
//! | `hash`, `usage`, `simple` | the hash of a file, the space of files, what simple stores share |
//!
//! Touch here how files are kept; the journal and the names of `.part` files are a format that
//! later versions must read. Relies on [`protocol`](crate::protocol) for names, hashes and codes.
//! Every call may block, so callers make it off the async thread.

mod digest;
mod dir;
mod disk;
mod error;
mod file_source;
mod folder_page;
mod hash;
mod journal;
mod memory;
mod mode;
mod partial;
mod partial_store;
mod pattern;
mod preallocation;
mod simple;
mod source_blocks;
mod sweep;
mod traits;
mod usage;

pub use self::digest::{Digest, HashStore};
pub use self::dir::{DirStore, open_file};
pub use self::disk::{Faults, Step};
pub use self::error::StoreError;
pub use self::hash::hash_source;
pub use self::memory::MemStore;
pub use self::pattern::PatternSource;
pub(crate) use self::source_blocks::SourceBlocks;
pub use self::traits::{
    BlockReader, CreateOptions, Found, FoundKind, Origin, PartialOptions, ResumablePartial, Sink,
    Source, Store, Stored,
};
pub use self::usage::{DiskUsage, FileId, OnDisk, Usage};

/// Entry point of the fuzzer: any bytes as a journal.
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub fn fuzz_journal(bytes: &[u8]) {
    journal::fuzz(bytes);
}
