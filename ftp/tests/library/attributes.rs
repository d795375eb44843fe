//! Modes and times of what is transferred, and what is no file.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lftp_ftp::{BLOCK_BYTES, DirStore, Filter, Links, MemStore, Plan, Store, Target, Tree};
use tempfile::TempDir;

use crate::world::{World, bytes, name, server_config};

fn folder() -> (TempDir, Arc<dyn Store>) {
    let root = tempfile::tempdir().unwrap();
    let store = Arc::new(DirStore::open(root.path()).unwrap());
    (root, store)
}

fn world() -> (TempDir, World) {
    let (root, store) = folder();
    let world = World::with_store(server_config("auto:2"), store, MemStore::new());
    (root, world)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn modified(path: impl AsRef<Path>) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

/// A file of the day after the epoch.
fn write(path: &Path, contents: &[u8], mode: u32) {
    fs::write(path, contents).unwrap();
    set_mode(path, mode);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

const PLAN: fn(Links) -> Plan = |links| Plan {
    links,
    ..Plan::default()
};

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_keeps_its_mode_and_time_both_ways() {
    let (there, world) = world();
    let (here, local) = folder();
    let mut client = world.client().await;
    let large = usize::try_from(2 * BLOCK_BYTES).unwrap() + 1;
    for (file, len) in [("small", 5), ("large", large)] {
        let path = here.path().join(file);
        write(&path, &bytes(len, 1), 0o600);
        let source = lftp_ftp::store::open_file(&path).unwrap();
        client.put(source, file, true, &()).await.unwrap();
        let back = name(&format!("{file} again"));
        let target = Target {
            store: &local,
            name: &back,
            overwrite: true,
        };
        client.get(file, target, &()).await.unwrap();
        for copy in [there.path().join(file), here.path().join(back.as_str())] {
            assert_eq!(mode(&copy), 0o600, "{copy:?}");
            assert_eq!(modified(&copy), modified(&path), "{copy:?}");
        }
    }
    world.pool_is_whole().await;
}

/// A tree whose root and one of its folders are private.
fn private_tree() -> (TempDir, Arc<dyn Store>) {
    let (here, store) = folder();
    fs::create_dir_all(here.path().join("open/private")).unwrap();
    for (path, mode) in [("", 0o700), ("open", 0o755), ("open/private", 0o700)] {
        set_mode(&here.path().join(path), mode);
    }
    write(&here.path().join("open/private/a.txt"), b"a", 0o644);
    (here, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn private_folders_arrive_private_both_ways_with_and_without_patterns() {
    let only_text = Filter::new(&["*.txt".to_owned()], &[]).unwrap();
    for filter in [Filter::default(), only_text] {
        let (there, world) = world();
        let (_here, store) = private_tree();
        let mut client = world.client().await;
        let plan = Plan {
            filter,
            ..Plan::default()
        };
        let tree = Tree {
            store: &store,
            root: None,
            source: "here",
        };
        let sent = client.put_tree(tree, "copy", &plan, &()).await.unwrap();
        assert_eq!((sent.files, sent.failed), (1, 0));
        let (back, store) = folder();
        let root = name("back");
        let tree = Tree {
            store: &store,
            root: Some(&root),
            source: "back",
        };
        let got = client.get_tree("copy", tree, &plan, &()).await.unwrap();
        assert_eq!((got.files, got.failed), (1, 0));
        for copy in [there.path().join("copy"), back.path().join("back")] {
            assert_eq!(mode(&copy), 0o700, "{copy:?}");
            assert_eq!(mode(copy.join("open")), 0o755, "{copy:?}");
            assert_eq!(mode(copy.join("open/private")), 0o700, "{copy:?}");
        }
        world.pool_is_whole().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_link_has_the_attributes_of_the_file_that_it_points_to() {
    let (there, world) = world();
    let (here, store) = folder();
    let secret = here.path().join("secret");
    write(&secret, b"first", 0o600);
    symlink("secret", here.path().join("link")).unwrap();
    let mut client = world.client().await;
    let tree = Tree {
        store: &store,
        root: None,
        source: "here",
    };
    let plan = PLAN(Links::Follow);
    client.put_tree(tree, "copy", &plan, &()).await.unwrap();
    let copy = there.path().join("copy/link");
    assert_eq!((mode(&copy), modified(&copy)), (0o600, modified(&secret)));
    // As long as before: the time tells them apart.
    fs::write(&secret, "other").unwrap();
    let sent = client.put_tree(tree, "copy", &plan, &()).await.unwrap();
    assert_eq!((sent.files, sent.unchanged), (2, 0));
    assert_eq!(fs::read(&copy).unwrap(), b"other");
    world.pool_is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_is_counted_and_named_as_skipped() {
    let (there, world) = world();
    let (here, store) = folder();
    write(&here.path().join("file"), b"a", 0o644);
    let _socket = std::os::unix::net::UnixListener::bind(here.path().join("socket")).unwrap();
    for (link, to) in [
        ("in", "file"),
        ("nowhere", "none"),
        ("out", "/etc/passwd"),
        ("up", ".."),
    ] {
        symlink(to, here.path().join(link)).unwrap();
    }
    let mut client = world.client().await;
    fn tree(store: &Arc<dyn Store>) -> Tree<'_> {
        Tree {
            store,
            root: None,
            source: "here",
        }
    }
    for (links, files, skipped) in [
        (
            Links::Skip,
            1,
            &["in", "nowhere", "out", "socket", "up"][..],
        ),
        (Links::Follow, 2, &["nowhere", "out", "socket", "up"]),
    ] {
        let copy = format!("copy {files}");
        let plan = PLAN(links);
        let sent = client.put_tree(tree(&store), &copy, &plan, &()).await;
        // What was put there is no link, so it is made one before it is got.
        let there = there.path().join(&copy);
        let sent = sent.unwrap();
        for (link, to) in [
            ("in", "file"),
            ("nowhere", "none"),
            ("out", "/etc/passwd"),
            ("up", ".."),
        ] {
            let _ = fs::remove_file(there.join(link));
            symlink(to, there.join(link)).unwrap();
        }
        let _socket = std::os::unix::net::UnixListener::bind(there.join("socket")).unwrap();
        let (_back, local) = folder();
        let got = client.get_tree(&copy, tree(&local), &plan, &()).await;
        for summary in [sent, got.unwrap()] {
            assert_eq!((summary.files, summary.failed), (files, 0), "{summary:?}");
            assert_eq!(summary.skipped, skipped.len() as u64);
            let named = serde_json::to_value(&summary).unwrap();
            let named = named["skips"].as_array().unwrap();
            let paths: Vec<_> = named
                .iter()
                .map(|it| it["path"].as_str().unwrap())
                .collect();
            assert_eq!(paths, skipped, "{links:?}");
        }
    }
    world.pool_is_whole().await;
}

/// Names that Windows reserves are ordinary ones between two other systems.
#[tokio::test(flavor = "multi_thread")]
async fn a_maildir_and_a_source_tree_go_both_ways() {
    let (there, world) = world();
    let (here, store) = folder();
    let names = [
        "1234.host:2,S",
        "aux.c",
        "con",
        "ends.",
        "ends ",
        "what?",
        "a\\b",
        "<*>|\"",
    ];
    for (number, name) in names.into_iter().enumerate() {
        fs::create_dir(here.path().join(name)).unwrap();
        fs::write(here.path().join(name).join(name), bytes(number, 1)).unwrap();
    }
    let mut client = world.client().await;
    let tree = Tree {
        store: &store,
        root: None,
        source: "here",
    };
    let plan = Plan::default();
    let sent = client.put_tree(tree, "copy", &plan, &()).await.unwrap();
    assert_eq!((sent.files, sent.failed), (8, 0), "{sent:?}");
    let listed = client.ls("copy").await.unwrap();
    assert_eq!(listed.len(), names.len());
    let (back, store) = folder();
    let tree = Tree {
        store: &store,
        root: None,
        source: "back",
    };
    let got = client.get_tree("copy", tree, &plan, &()).await.unwrap();
    assert_eq!((got.files, got.failed), (8, 0), "{got:?}");
    for (number, name) in names.into_iter().enumerate() {
        for root in [there.path().join("copy"), back.path().to_owned()] {
            let path = root.join(name).join(name);
            assert_eq!(fs::read(path).unwrap(), bytes(number, 1), "{name:?}");
        }
    }
    let source = MemStore::source("x");
    client.put(source, "con: what?", true, &()).await.unwrap();
    world.pool_is_whole().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_not_utf_8_are_refused_for_that_reason_and_stay_two() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let (there, world) = world();
    let (here, store) = folder();
    for name in [&b"caf\xe8"[..], b"caf\xe9", "caf\u{fffd}".as_bytes()] {
        fs::write(here.path().join(OsStr::from_bytes(name)), name).unwrap();
    }
    fs::create_dir(here.path().join(OsStr::from_bytes(b"\xff"))).unwrap();
    let mut client = world.client().await;
    let tree = Tree {
        store: &store,
        root: None,
        source: "here",
    };
    let sent = client.put_tree(tree, "copy", &Plan::default(), &()).await;
    let sent = sent.unwrap();
    assert_eq!((sent.files, sent.failed), (1, 3), "{sent:?}");
    let named: Vec<_> = sent.failures.iter().map(|it| it.path.raw()).collect();
    assert_eq!(named, ["\\xFF", "caf\\xE8", "caf\\xE9"]);
    let is_true = |reason: &str| reason.contains("not valid UTF-8");
    assert!(sent.failures.iter().all(|it| is_true(it.reason.raw())));
    assert_eq!(fs::read_dir(there.path().join("copy")).unwrap().count(), 1);
    world.pool_is_whole().await;
}
