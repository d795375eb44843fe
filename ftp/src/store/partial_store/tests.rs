use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::store::{CreateOptions, DirStore, Origin, PartialOptions, Sink, Store};

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
    let options = CreateOptions::new(size, true).resumable(origin);
    store.create(&name(), options).unwrap()
}

/// A folder with a transfer that was interrupted behind two blocks.
fn interrupted(durable: bool) -> (TempDir, DirStore) {
    let root = tempfile::tempdir().unwrap();
    let store = DirStore::open(root.path()).unwrap().durable(durable);
    let mut sink = create(&store);
    for index in 0..2 {
        sink.write(&contents()[index * BLOCK..(index + 1) * BLOCK])
            .unwrap();
        sink.block_verified(hash(index)).unwrap();
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

fn left_behind(root: &TempDir, suffix: &str) -> std::path::PathBuf {
    let name = files(root.path())
        .into_iter()
        .find(|name| name.ends_with(suffix))
        .unwrap();
    root.path().join(name)
}

#[test]
fn an_interrupted_transfer_resumes_behind_its_last_verified_block() {
    for durable in [true, false] {
        let (root, store) = interrupted(durable);
        assert_eq!(files(root.path()).len(), 2);
        assert!(
            store
                .open_partial(&name(), PartialOptions::new("other", true))
                .unwrap()
                .is_none()
        );
        let partial = store
            .open_partial(&name(), PartialOptions::new("key", true))
            .unwrap()
            .unwrap();
        assert_eq!(partial.source, "source");
        assert_eq!(partial.size, contents().len() as u64);
        assert_eq!(partial.hashes, [hash(0), hash(1)]);
        let mut sink = partial.sink;
        sink.write(&contents()[2 * BLOCK..]).unwrap();
        sink.commit().unwrap();
        assert_eq!(files(root.path()), ["a"]);
        assert!(fs::read(root.path().join("a")).unwrap() == contents());
    }
}

#[test]
fn a_file_that_is_being_written_is_not_opened_again() {
    let (root, store) = interrupted(true);
    let first = store
        .open_partial(&name(), PartialOptions::new("key", true))
        .unwrap()
        .unwrap();
    assert!(
        store
            .open_partial(&name(), PartialOptions::new("key", true))
            .unwrap()
            .is_none()
    );
    // Another transfer of the same file gets a name of its own, and leaves nothing.
    let mut second = create(&store);
    second.write(&contents()[..BLOCK]).unwrap();
    second.block_verified(hash(0)).unwrap();
    assert_eq!(files(root.path()).len(), 3);
    drop(second);
    drop(first);
    let partial = store
        .open_partial(&name(), PartialOptions::new("key", true))
        .unwrap()
        .unwrap();
    assert_eq!(partial.hashes.len(), 2);
}

#[test]
fn blocks_that_differ_from_the_journal_are_not_relied_upon() {
    let (root, store) = interrupted(true);
    let part = left_behind(&root, ".part");
    let mut bytes = fs::read(&part).unwrap();
    bytes[BLOCK + 17] ^= 1;
    fs::write(&part, &bytes).unwrap();
    let partial = store
        .open_partial(&name(), PartialOptions::new("key", true))
        .unwrap()
        .unwrap();
    assert_eq!(partial.hashes, [hash(0)]);
    drop(partial);
    fs::write(&part, &bytes[..BLOCK - 1]).unwrap();
    assert!(
        store
            .open_partial(&name(), PartialOptions::new("key", true))
            .unwrap()
            .is_none()
    );
}

#[test]
fn an_invalid_journal_is_no_failure() {
    for journal in [&b""[..], b"LFTPJRN1", &[0xff; 100]] {
        let (root, store) = interrupted(true);
        fs::write(left_behind(&root, ".journal"), journal).unwrap();
        assert!(
            store
                .open_partial(&name(), PartialOptions::new("key", true))
                .unwrap()
                .is_none()
        );
        let mut sink = create(&store);
        sink.write(&contents()).unwrap();
        sink.commit().unwrap();
        assert_eq!(files(root.path()), ["a"]);
    }
}

#[test]
fn a_discarded_file_or_one_without_a_verified_block_leaves_nothing() {
    let (root, store) = interrupted(true);
    let partial = store
        .open_partial(&name(), PartialOptions::new("key", true))
        .unwrap()
        .unwrap();
    partial.sink.discard();
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
        let (root, store) = interrupted(true);
        let victim = root.path().join("victim");
        let part = left_behind(&root, ".part");
        fs::rename(&part, &victim).unwrap();
        plant(&victim, &part).unwrap();
        assert!(
            store
                .open_partial(&name(), PartialOptions::new("key", true))
                .unwrap()
                .is_none()
        );
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
fn a_sweep_leaves_partial_files_until_they_are_too_old() {
    let (root, store) = interrupted(true);
    assert_eq!(store.sweep().unwrap(), 0);
    fs::write(root.path().join(".lftp-0.journal"), "alone").unwrap();
    let store = store.keep_partials(Duration::ZERO);
    assert_eq!(store.sweep().unwrap(), 1);
    assert!(files(root.path()).is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_file_does_not_show_through_the_holes_of_the_next() {
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
    let sink = store.create(&name(), CreateOptions::new(size, true).resumable(origin));
    let mut sink = sink.unwrap();
    sink.write(&whole[..BLOCK]).unwrap();
    sink.block_verified(BlockHash::of(0, &whole[..BLOCK]))
        .unwrap();
    sink.write(&[1; BLOCK]).unwrap();
    drop(sink);
    let partial = store
        .open_partial(&name(), PartialOptions::new("key", true))
        .unwrap()
        .unwrap();
    assert_eq!(partial.hashes.len(), 1);
    let mut sink = partial.sink;
    sink.write(&whole[BLOCK..]).unwrap();
    sink.commit().unwrap();
    let file = root.path().join("a");
    assert!(fs::read(&file).unwrap() == whole);
    // Not all file systems keep holes; none keeps more than all of it.
    assert!(fs::metadata(&file).unwrap().blocks() * 512 <= size);
}
