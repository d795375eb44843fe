use std::collections::BTreeSet;
use std::fs;

use tempfile::TempDir;

use super::*;
use crate::protocol::Code;
use crate::protocol::blocks::{BLOCK_BYTES, BlockHash};
use crate::store::{DirStore, Origin};

mod random;

const UNIT: u64 = 4096;

/// Zeros, which become holes: the tests are about lengths.
static BLOCK: [u8; BLOCK_BYTES as usize] = [0; BLOCK_BYTES as usize];

fn name(name: &str) -> Name {
    Name::parse(name).unwrap()
}

/// A folder, its usage, and a store with a quota of so many bytes.
fn limited(bytes: u64) -> (TempDir, Arc<dyn Store>, QuotaUsage, Arc<dyn Store>) {
    let root = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(DirStore::open(root.path()).unwrap().durable(false));
    let usage = QuotaUsage::default();
    let quota = Some(Quota::new(bytes, None));
    let limited = QuotaStore::wrap(&store, &usage, quota);
    (root, store, usage, limited)
}

fn on_disk(store: &Arc<dyn Store>) -> Usage {
    let disk = store.disk_usage().unwrap();
    disk.total(&BTreeSet::new()).unwrap()
}

fn resumable<'a>(size: u64, key: &'a str) -> CreateOptions<'a> {
    CreateOptions::new(size, true).resumable(Origin {
        key,
        source: "source",
        allocated: Some(0),
    })
}

fn write_blocks(sink: &mut dyn Sink, count: u64) {
    for _ in 0..count {
        sink.write(&BLOCK).unwrap();
        sink.block_verified(BlockHash([0; 32])).unwrap();
    }
}

#[test]
fn two_puts_of_one_name_deduct_the_old_file_once() {
    let (_root, store, usage, limited) = limited(100 * UNIT);
    let put = |file: &str, units: u64| {
        let size = units * UNIT;
        let mut sink = limited.create(&name(file), CreateOptions::new(size, true))?;
        sink.write(&BLOCK[..usize::try_from(size).unwrap()])?;
        Ok::<_, StoreError>(sink)
    };
    put("a", 90).unwrap().commit().unwrap();
    let first = put("a", 90).unwrap();
    assert_eq!(put("a", 11).unwrap_err().code(), Code::QuotaExceeded);
    put("a", 10).unwrap().commit().unwrap();
    first.commit().unwrap();
    assert_eq!(usage.total(), on_disk(&store));
    assert_eq!(put("b", 20).unwrap_err().code(), Code::QuotaExceeded);
    put("b", 10).unwrap().commit().unwrap();
}

#[test]
fn a_resumption_fits_while_another_transfer_is_open() {
    let (_root, store, usage, limited) = limited(3 * BLOCK_BYTES);
    let size = 2 * BLOCK_BYTES;
    let mut sink = limited.create(&name("a"), resumable(size, "key")).unwrap();
    let other = limited.create(&name("b"), CreateOptions::new(UNIT, true));
    write_blocks(&mut *sink, 1);
    drop(sink);
    let partial = limited.open_partial(&name("a"), PartialOptions::new("key", true));
    let mut sink = partial.unwrap().unwrap().sink;
    write_blocks(&mut *sink, 1);
    sink.commit().unwrap();
    other.unwrap().commit().unwrap();
    assert_eq!(usage.total(), on_disk(&store));
}

#[test]
fn thousands_of_tiny_files_do_not_fit_a_small_quota() {
    let (_root, store, _usage, limited) = limited(400_000);
    let mut stored = 0;
    for number in 0..1000 {
        let file = name(&format!("{number}"));
        let Ok(mut sink) = limited.create(&file, CreateOptions::new(1, true)) else {
            break;
        };
        sink.write(b"x").unwrap();
        sink.commit().unwrap();
        stored += 1;
    }
    assert_eq!(stored, 400_000 / UNIT);
    let empty = limited.create(&name("empty"), CreateOptions::new(0, true));
    assert_eq!(empty.unwrap_err().code(), Code::QuotaExceeded);
    assert!(on_disk(&store).bytes <= 400_000);
}

#[test]
fn entries_are_limited_as_bytes_are() {
    let root = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(DirStore::open(root.path()).unwrap());
    let quota = Some(Quota::new(1 << 30, Some(3)));
    let limited = QuotaStore::wrap(&store, &QuotaUsage::default(), quota);
    limited.create_folder(&name("a/b"), None).unwrap();
    let put = |file: &str| limited.create(&name(file), CreateOptions::new(0, true));
    put("a/b/c").unwrap().commit().unwrap();
    // It is replaced, so it needs no entry of its own.
    put("a/b/c").unwrap().commit().unwrap();
    let error = put("d").unwrap_err();
    assert!(
        matches!(error, StoreError::TooManyEntries { .. }),
        "{error}"
    );
    assert_eq!(error.code(), Code::QuotaExceeded);
    let error = limited.create_folder(&name("a/x"), None).unwrap_err();
    assert_eq!(error.code(), Code::QuotaExceeded);
    fs::remove_file(root.path().join("a/b/c")).unwrap();
    put("d").unwrap().commit().unwrap();
}

#[test]
fn a_partial_file_does_not_stay_beside_the_file_that_it_was_to_replace_if_both_are_too_much() {
    let (root, store, usage, limited) = limited(3 * BLOCK_BYTES);
    let size = 2 * BLOCK_BYTES;
    let put = || limited.create(&name("a"), resumable(size, "key"));
    let mut sink = put().unwrap();
    write_blocks(&mut *sink, 2);
    sink.commit().unwrap();
    let mut sink = put().unwrap();
    write_blocks(&mut *sink, 1);
    drop(sink);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3, "it fits");
    let mut sink = put().unwrap();
    write_blocks(&mut *sink, 2);
    drop(sink);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    assert_eq!(usage.total(), on_disk(&store));
}

#[test]
fn transfers_without_a_quota_are_counted_for_those_with_one() {
    let (_root, store, usage, limited) = limited(10 * UNIT);
    let unlimited = QuotaStore::wrap(&store, &usage, None);
    let mut sink = unlimited
        .create(&name("a"), CreateOptions::new(8 * UNIT, true))
        .unwrap();
    let put = |units| limited.create(&name("b"), CreateOptions::new(units * UNIT, true));
    put(3).unwrap_err();
    put(2).unwrap().commit().unwrap();
    sink.write(&BLOCK[..8 * UNIT as usize]).unwrap();
    sink.commit().unwrap();
    put(3).unwrap_err();
    assert_eq!(usage.total(), on_disk(&store));
}
