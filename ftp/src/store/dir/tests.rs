use std::fs;

use tempfile::TempDir;

use super::*;
use crate::protocol::{Code, is_partial};

fn name(name: &str) -> Name {
    Name::parse(name).unwrap()
}

fn store() -> (TempDir, DirStore) {
    let root = tempfile::tempdir().unwrap();
    let store = DirStore::open(root.path()).unwrap();
    (root, store)
}

fn files(root: &TempDir) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(root.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn read_all(source: &mut dyn Source) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match source.read(3).unwrap() {
            block if block.is_empty() => return all,
            block => all.extend_from_slice(&block),
        }
    }
}

#[test]
fn a_file_gets_its_name_only_when_it_is_complete() {
    let (root, store) = store();
    let mut sink = store
        .create(&name("a"), CreateOptions::new(6, true))
        .unwrap();
    sink.write(b"abc").unwrap();
    assert!(files(&root).iter().all(|file| is_partial(file)));
    sink.write(b"def").unwrap();
    sink.commit().unwrap();
    assert_eq!(files(&root), ["a"]);
    let mut source = store.open(&name("a")).unwrap();
    assert_eq!(source.size(), 6);
    assert_eq!(read_all(source.as_mut()), b"abcdef");
}

#[test]
fn a_long_file_is_flushed_while_it_is_written_in_a_durable_store() {
    let (root, store) = store();
    let block = vec![7; 20 << 20];
    for durable in [true, false] {
        let store = DirStore::open(root.path()).unwrap().durable(durable);
        let mut sink = store
            .create(&name("a"), CreateOptions::new(40 << 20, true))
            .unwrap();
        sink.write(&block).unwrap();
        assert!(sink.flush().is_none());
        sink.write(&block).unwrap();
        let flush = sink.flush();
        assert_eq!(flush.is_some(), durable);
        assert!(sink.flush().is_none(), "there is nothing new to flush");
        if let Some(flush) = flush {
            flush();
        }
        sink.commit().unwrap();
    }
    assert_eq!(store.open(&name("a")).unwrap().size(), 40 << 20);
}

#[test]
fn an_abandoned_file_leaves_nothing_behind() {
    let (root, store) = store();
    let mut sink = store
        .create(&name("a"), CreateOptions::new(6, true))
        .unwrap();
    sink.write(b"abc").unwrap();
    drop(sink);
    assert_eq!(files(&root), [""; 0]);
}

#[test]
fn an_existing_file_is_replaced_atomically() {
    let (root, store) = store();
    fs::write(root.path().join("a"), "old").unwrap();
    let mut sink = store
        .create(&name("a"), CreateOptions::new(3, true))
        .unwrap();
    sink.write(b"new").unwrap();
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"old");
    sink.commit().unwrap();
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"new");
    assert_eq!(files(&root), ["a"]);
}

#[test]
fn without_overwrite_an_existing_file_stays_even_if_it_appeared_late() {
    let (root, store) = store();
    let mut sink = store
        .create(&name("a"), CreateOptions::new(3, false))
        .unwrap();
    sink.write(b"new").unwrap();
    fs::write(root.path().join("a"), "old").unwrap();
    assert_eq!(sink.commit().unwrap_err().code(), Code::Exists);
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"old");
    assert_eq!(
        store
            .create(&name("a"), CreateOptions::new(3, false))
            .unwrap_err()
            .code(),
        Code::Exists
    );
    assert_eq!(files(&root), ["a"]);
    let sink = store
        .create(&name("b"), CreateOptions::new(0, false))
        .unwrap();
    sink.commit().unwrap();
    assert_eq!(files(&root), ["a", "b"]);
}

#[test]
fn folders_must_exist_and_are_not_files() {
    let (root, store) = store();
    fs::create_dir(root.path().join("sub")).unwrap();
    store
        .create(&name("sub/a"), CreateOptions::new(0, true))
        .unwrap()
        .commit()
        .unwrap();
    assert!(root.path().join("sub/a").exists());
    assert_eq!(
        store
            .create(&name("none/a"), CreateOptions::new(0, true))
            .unwrap_err()
            .code(),
        Code::NotFound
    );
    assert_eq!(
        store
            .create(&name("sub"), CreateOptions::new(0, true))
            .unwrap_err()
            .code(),
        Code::NotAFile
    );
    assert_eq!(store.open(&name("sub")).unwrap_err().code(), Code::NotAFile);
    assert_eq!(
        store.open(&name("sub/b")).unwrap_err().code(),
        Code::NotFound
    );
    assert_eq!(
        store.open(&name("sub/a/b")).unwrap_err().code(),
        Code::NotAFile
    );
}

#[cfg(unix)]
#[test]
fn links_that_leave_the_root_are_refused_and_others_work() {
    let (outside, _) = store();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let (root, store) = store();
    let link = |to: &Path, name: &str| {
        std::os::unix::fs::symlink(to, root.path().join(name)).unwrap();
    };
    link(&outside.path().join("secret"), "file");
    link(outside.path(), "folder");
    link(Path::new("../"), "up");
    for path in ["file", "folder/secret", "up/x"] {
        assert_eq!(
            store.open(&name(path)).unwrap_err().code(),
            Code::NameRefused,
            "{path}"
        );
    }
    for path in ["folder/new", "up/new"] {
        let error = store
            .create(&name(path), CreateOptions::new(0, true))
            .unwrap_err();
        assert_eq!(error.code(), Code::NameRefused, "{path}");
    }
    assert!(store.list(Some(&name("folder")), None, 10).is_err());
    // Replacing a link replaces the link, not what it leads to.
    store
        .create(&name("file"), CreateOptions::new(0, true))
        .unwrap()
        .commit()
        .unwrap();
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
    fs::write(root.path().join("inside"), "fine").unwrap();
    link(Path::new("inside"), "good");
    assert_eq!(
        read_all(store.open(&name("good")).unwrap().as_mut()),
        b"fine"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_named_pipe_is_refused_both_ways_without_blocking() {
    let (root, store) = store();
    let made = std::process::Command::new("mkfifo")
        .arg(root.path().join("pipe"))
        .status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no mkfifo");
        return;
    }
    assert_eq!(
        store.open(&name("pipe")).unwrap_err().code(),
        Code::NotAFile
    );
    // Nor is it replaced: a device would be lost to everybody.
    for overwrite in [false, true] {
        let error = store
            .create(&name("pipe"), CreateOptions::new(1, overwrite))
            .unwrap_err();
        assert_eq!(error.code(), Code::NotAFile);
    }
    assert_eq!(files(&root), ["pipe"]);
}

#[test]
fn a_listing_is_by_name_in_pages_and_without_incomplete_files() {
    let (root, store) = store();
    for file in ["c", "a", "b"] {
        fs::write(root.path().join(file), file).unwrap();
    }
    fs::create_dir(root.path().join("d")).unwrap();
    let _partial = store
        .create(&name("x"), CreateOptions::new(1, true))
        .unwrap();
    let names = |after, limit| -> Vec<String> {
        let page = store.list(None, after, limit).unwrap();
        page.into_iter()
            .map(|entry| entry.name.into_raw())
            .collect()
    };
    assert_eq!(names(None, 10), ["a", "b", "c", "d"]);
    assert_eq!(names(None, 2), ["a", "b"]);
    assert_eq!(names(Some("b"), 2), ["c", "d"]);
    assert_eq!(names(Some("d"), 2), [""; 0]);
    let page = store.list(None, Some("c"), 1).unwrap();
    assert_eq!((page[0].kind, page[0].size), (EntryKind::Folder, 0));
    assert_eq!(
        store.list(Some(&name("nope")), None, 1).unwrap_err().code(),
        Code::NotFound
    );
}

#[test]
fn a_sweep_removes_abandoned_files_and_leaves_those_being_written() {
    let (root, store) = store();
    fs::create_dir(root.path().join("sub")).unwrap();
    fs::write(root.path().join("sub/.lftp-1-1.part"), "abandoned").unwrap();
    fs::write(root.path().join(".lftp-1-1.part"), "abandoned").unwrap();
    fs::write(root.path().join("x.part"), "not a partial file").unwrap();
    let mut sink = store
        .create(&name("a"), CreateOptions::new(3, true))
        .unwrap();
    assert_eq!(store.sweep().unwrap(), 2);
    sink.write(b"new").unwrap();
    sink.commit().unwrap();
    assert_eq!(files(&root), ["a", "sub", "x.part"]);
}

#[cfg(target_os = "linux")]
#[test]
fn an_impossible_size_is_refused_before_a_byte_is_sent() {
    let (root, store) = store();
    let error = store
        .create(&name("a"), CreateOptions::new(u64::MAX, true))
        .unwrap_err();
    assert_eq!(error.code(), Code::DiskFull);
    assert_eq!(files(&root), [""; 0]);
}
