use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::store::{DirStore, Origin, Sink, Store};

const BLOCK: usize = BLOCK_BYTES as usize;

fn name() -> Name {
    Name::parse("a").unwrap()
}

fn contents() -> Vec<u8> {
    (0..3 * BLOCK + 5).map(|i| (i / 1000) as u8).collect()
}

fn hash(index: usize) -> BlockHash {
    let bytes = &contents()[index * BLOCK..(index + 1) * BLOCK];
    BlockHash::of(index as u64, bytes)
}

fn create(store: &DirStore) -> Box<dyn Sink> {
    let origin = Origin {
        key: "key",
        source: "source",
        allocated: None,
    };
    let size = contents().len() as u64;
    store.create_parkable(&name(), size, true, origin).unwrap()
}

/// A folder with a transfer that broke off behind two blocks.
fn broken_off(durable: bool) -> (TempDir, DirStore) {
    let root = tempfile::tempdir().unwrap();
    let store = DirStore::open(root.path()).unwrap().durable(durable);
    let mut sink = create(&store);
    for index in 0..2 {
        sink.write(&contents()[index * BLOCK..(index + 1) * BLOCK])
            .unwrap();
        sink.verified(hash(index)).unwrap();
    }
    sink.write(b"some more").unwrap();
    drop(sink);
    (root, store)
}

fn files(root: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn left(root: &TempDir, suffix: &str) -> std::path::PathBuf {
    let name = files(root.path())
        .into_iter()
        .find(|name| name.ends_with(suffix))
        .unwrap();
    root.path().join(name)
}

#[test]
fn a_transfer_that_broke_off_goes_on_behind_its_last_verified_block() {
    for durable in [true, false] {
        let (root, store) = broken_off(durable);
        assert_eq!(files(root.path()).len(), 2);
        assert!(store.parked(&name(), "other", true).unwrap().is_none());
        let parked = store.parked(&name(), "key", true).unwrap().unwrap();
        assert_eq!(parked.source, "source");
        assert_eq!(parked.size, contents().len() as u64);
        assert_eq!(parked.hashes, [hash(0), hash(1)]);
        let mut sink = parked.sink;
        sink.write(&contents()[2 * BLOCK..]).unwrap();
        sink.commit().unwrap();
        assert_eq!(files(root.path()), ["a"]);
        assert!(fs::read(root.path().join("a")).unwrap() == contents());
    }
}

#[test]
fn what_somebody_is_writing_is_nobody_elses() {
    let (root, store) = broken_off(true);
    let first = store.parked(&name(), "key", true).unwrap().unwrap();
    assert!(store.parked(&name(), "key", true).unwrap().is_none());
    // Another transfer of the same file gets a name of its own, and leaves nothing.
    let mut second = create(&store);
    second.write(&contents()[..BLOCK]).unwrap();
    second.verified(hash(0)).unwrap();
    assert_eq!(files(root.path()).len(), 3);
    drop(second);
    drop(first);
    let parked = store.parked(&name(), "key", true).unwrap().unwrap();
    assert_eq!(parked.hashes.len(), 2);
}

#[test]
fn blocks_that_are_not_those_of_the_journal_are_not_relied_upon() {
    let (root, store) = broken_off(true);
    let part = left(&root, ".part");
    let mut bytes = fs::read(&part).unwrap();
    bytes[BLOCK + 17] ^= 1;
    fs::write(&part, &bytes).unwrap();
    let parked = store.parked(&name(), "key", true).unwrap().unwrap();
    assert_eq!(parked.hashes, [hash(0)]);
    drop(parked);
    fs::write(&part, &bytes[..BLOCK - 1]).unwrap();
    assert!(store.parked(&name(), "key", true).unwrap().is_none());
}

#[test]
fn a_journal_that_is_none_is_no_reason_to_fail() {
    for journal in [&b""[..], b"LFTPJRN1", &[0xff; 100]] {
        let (root, store) = broken_off(true);
        fs::write(left(&root, ".journal"), journal).unwrap();
        assert!(store.parked(&name(), "key", true).unwrap().is_none());
        let mut sink = create(&store);
        sink.write(&contents()).unwrap();
        sink.commit().unwrap();
        assert_eq!(files(root.path()), ["a"]);
    }
}

#[test]
fn nothing_is_left_of_what_is_discarded_or_has_no_verified_block() {
    let (root, store) = broken_off(true);
    let parked = store.parked(&name(), "key", true).unwrap().unwrap();
    parked.sink.discard();
    assert!(files(root.path()).is_empty());
    let mut sink = create(&store);
    sink.write(&contents()[..BLOCK]).unwrap();
    drop(sink);
    assert!(files(root.path()).is_empty());
}

#[cfg(unix)]
#[test]
fn a_link_in_its_place_is_not_written_through() {
    use std::os::unix::fs::symlink;

    for plant in [
        |to: &Path, at: &Path| symlink(to.file_name().unwrap(), at),
        |to: &Path, at: &Path| fs::hard_link(to, at),
    ] {
        let (root, store) = broken_off(true);
        let victim = root.path().join("victim");
        let part = left(&root, ".part");
        fs::rename(&part, &victim).unwrap();
        plant(&victim, &part).unwrap();
        assert!(store.parked(&name(), "key", true).unwrap().is_none());
        let before = fs::read(&victim).unwrap();
        let mut sink = create(&store);
        sink.write(&vec![1; 3 * BLOCK + 5]).unwrap();
        sink.commit().unwrap();
        assert!(fs::read(&victim).unwrap() == before);
        assert!(
            fs::symlink_metadata(root.path().join("a"))
                .unwrap()
                .is_file()
        );
    }
}

#[test]
fn a_sweep_leaves_what_was_parked_until_it_is_too_old() {
    let (root, store) = broken_off(true);
    assert_eq!(store.sweep().unwrap(), 0);
    fs::write(root.path().join(".lftp-0.journal"), "alone").unwrap();
    let store = store.keep_parked(Duration::ZERO);
    assert_eq!(store.sweep().unwrap(), 1);
    assert!(files(root.path()).is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn what_broke_off_does_not_show_through_the_holes_of_what_follows() {
    use std::os::unix::fs::MetadataExt;
    let root = tempfile::tempdir().unwrap();
    let store = DirStore::open(root.path()).unwrap();
    let mut whole = vec![0; 4 * BLOCK];
    whole[..5].copy_from_slice(b"first");
    let origin = Origin {
        key: "key",
        source: "source",
        allocated: Some(4096),
    };
    let size = whole.len() as u64;
    let sink = store.create_parkable(&name(), size, true, origin);
    let mut sink = sink.unwrap();
    sink.write(&whole[..BLOCK]).unwrap();
    sink.verified(BlockHash::of(0, &whole[..BLOCK])).unwrap();
    sink.write(&[1; BLOCK]).unwrap();
    drop(sink);
    let parked = store.parked(&name(), "key", true).unwrap().unwrap();
    assert_eq!(parked.hashes.len(), 1);
    let mut sink = parked.sink;
    sink.write(&whole[BLOCK..]).unwrap();
    sink.commit().unwrap();
    let file = root.path().join("a");
    assert!(fs::read(&file).unwrap() == whole);
    // Not all file systems keep holes; none keeps more than all of it.
    assert!(fs::metadata(&file).unwrap().blocks() * 512 <= size);
}
