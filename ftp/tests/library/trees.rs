//! Trees of files, and senders and receivers of trees that violate the protocol.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lftp_ftp::protocol::{
    self, Answer, Attributes, FileHeader, Page, Request, TreeEntry, TreeSummary,
};
use lftp_ftp::{BLOCK_BYTES, Code, DirStore, MemStore, Plan, Store, Tree};
use lftp_transport::Stream;

use crate::protocol::{connect, control, data_hello, grant, read_body, reset_of};
use crate::world::{World, bytes, name, server_config};

fn world(root: &Path) -> World {
    let store = Arc::new(DirStore::open(root).unwrap());
    World::with_store(server_config("auto:2"), store, MemStore::new())
}

fn everything(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let shown = path.strip_prefix(root).unwrap().display().to_string();
            if path.is_dir() {
                folders.push(path);
            }
            found.push(shown);
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_of_small_large_and_empty_files_goes_both_ways_on_two_connections() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(here.path().join("sub/empty")).unwrap();
    let large = usize::try_from(2 * BLOCK_BYTES).unwrap() + 3;
    for (file, len) in [("a", 0), ("sub/large", large), ("z", 1000)] {
        fs::write(here.path().join(file), bytes(len, 1)).unwrap();
    }
    for i in 0..700 {
        fs::write(here.path().join(format!("sub/{i}")), bytes(i, 2)).unwrap();
    }
    let world = world(there.path());
    let mut client = world.client().await;
    let store: Arc<dyn Store> = Arc::new(DirStore::open(here.path()).unwrap());
    let root = name("back/again");
    let tree = |root| Tree {
        store: &store,
        root,
        source: "here",
    };
    let plan = Plan::default();
    let sent = client.put_tree(tree(None), "copy", &plan, &()).await;
    let sent = sent.unwrap();
    assert_eq!((sent.files, sent.unchanged, sent.failed), (703, 0, 0));
    let expected = everything(here.path());
    assert_eq!(everything(&there.path().join("copy")), expected);
    let again = client.put_tree(tree(None), "copy", &plan, &()).await;
    assert_eq!(again.unwrap().unchanged, 703);

    let got = client.get_tree("copy", tree(Some(&root)), &plan, &()).await;
    assert_eq!(got.unwrap().files, 703);
    let back = here.path().join("back/again");
    assert_eq!(everything(&back), expected);
    for file in ["a", "sub/large", "sub/699", "z"] {
        assert!(fs::read(back.join(file)).unwrap() == fs::read(here.path().join(file)).unwrap());
        let modified = |root: &Path| fs::metadata(root.join(file)).unwrap().modified().unwrap();
        assert_eq!(modified(&back), modified(here.path()));
    }
    world.pool_is_whole().await;
}

async fn put_tree(world: &World, overwrite: protocol::Overwrite) -> Stream {
    let mut control = control(world).await;
    let request = Request::PutTree {
        name: String::new(),
        overwrite,
        dry_run: false,
        source: "test".into(),
        attributes: Attributes::default(),
    };
    let granted = grant(&mut control, &request).await;
    let mut data = connect(world, granted.port).await;
    data.write_bytes(data_hello(granted.token)).await.unwrap();
    assert_eq!(read_body(&mut data).await, br#"{"ack":"ACK"}"#);
    // The transfer does not need the control connection any more.
    data
}

fn entry(path: &str, size: Option<u64>) -> TreeEntry {
    TreeEntry {
        path: path.into(),
        size,
        attributes: Attributes::default(),
        source: None,
        allocated: None,
    }
}

async fn offer(data: &mut Stream, entries: Vec<TreeEntry>) -> Vec<usize> {
    let page = Page {
        entries,
        last: true,
        failed: Vec::new(),
        skipped: Vec::new(),
    };
    let page = protocol::encode(&page).unwrap();
    data.write_bytes(page).await.unwrap();
    let answer: Answer = protocol::decode(&read_body(data).await).unwrap();
    answer.want.into_iter().map(|want| want.index).collect()
}

async fn send(data: &mut Stream, index: usize, contents: &'static [u8]) {
    let head = FileHeader {
        index,
        size: Some(contents.len() as u64),
        resume: false,
        failed: None,
    };
    let head = protocol::encode(&head).unwrap();
    data.write_bytes(head).await.unwrap();
    data.write_bytes(Bytes::from_static(contents))
        .await
        .unwrap();
    let hash = blake3::hash(contents);
    data.write_all(hash.as_bytes()).await.unwrap();
}

/// Reads the server's summary, skipping its progress reports.
async fn read_summary(data: &mut Stream) -> TreeSummary {
    loop {
        let body = read_body(data).await;
        if !body.starts_with(b"{\"verified\"") {
            return protocol::decode_reply(&body).unwrap().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_refused_one_by_one_and_the_others_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let world = world(&root);
    let mut data = put_tree(&world, protocol::Overwrite::Replace).await;
    let long = "x".repeat(256);
    let hostile = [
        "../up",
        "..",
        "/etc/x",
        "a/../../x",
        "nul\0",
        &long,
        "a//b",
        ".lftp-1.part",
        "",
        ".",
        "a/.",
    ];
    let mut entries: Vec<_> = hostile.iter().map(|path| entry(path, Some(3))).collect();
    entries.extend(hostile.iter().map(|path| entry(path, None)));
    entries.push(entry("good", Some(3)));
    let count = entries.len();
    assert_eq!(offer(&mut data, entries).await, [count - 1]);
    send(&mut data, count - 1, b"abc").await;
    let summary = read_summary(&mut data).await;
    assert_eq!((summary.files, summary.failed), (1, count as u64 - 1));
    assert!(summary.failures.iter().all(|f| f.code == Code::NameRefused));
    assert_eq!(everything(folder.path()), ["root", "root/good"]);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn links_planted_in_the_root_do_not_lead_out_of_it() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    symlink(&outside, root.join("out")).unwrap();
    symlink("../outside/secret", root.join("file")).unwrap();
    let world = world(&root);
    let mut data = put_tree(&world, protocol::Overwrite::Replace).await;
    let entries = vec![
        entry("out", None),
        entry("out/planted", Some(3)),
        entry("out/secret", Some(3)),
        entry("file", Some(3)),
    ];
    assert_eq!(offer(&mut data, entries).await, [3]);
    send(&mut data, 3, b"new").await;
    let summary = read_summary(&mut data).await;
    assert_eq!((summary.files, summary.failed), (1, 3), "{summary:?}");
    // The link was replaced, not what it led to.
    assert_eq!(fs::read(outside.join("secret")).unwrap(), b"secret");
    assert_eq!(fs::read(root.join("file")).unwrap(), b"new");
    assert_eq!(everything(&outside), ["secret"]);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_becomes_a_link_during_the_transfer_does_not_lead_out() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::create_dir(&outside).unwrap();
    let world = world(&root);
    let mut data = put_tree(&world, protocol::Overwrite::Replace).await;
    let entries = vec![entry("sub/a", Some(3)), entry("b", Some(3))];
    assert_eq!(offer(&mut data, entries).await, [0, 1]);
    // The names were checked; now the folder is replaced.
    fs::remove_dir(root.join("sub")).unwrap();
    symlink(&outside, root.join("sub")).unwrap();
    send(&mut data, 0, b"bad").await;
    send(&mut data, 1, b"abc").await;
    let summary = read_summary(&mut data).await;
    assert_eq!((summary.files, summary.failed), (1, 1), "{summary:?}");
    assert!(everything(&outside).is_empty());
    assert_eq!(fs::read(root.join("b")).unwrap(), b"abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_case_makes_no_difference_the_second_spelling_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let store = DirStore::open(root.path()).unwrap().fold_case(true);
    let world = World::with_store(server_config("auto:1"), Arc::new(store), MemStore::new());
    let mut data = put_tree(&world, protocol::Overwrite::Replace).await;
    let entries = ["Read.me", "README", "READ.ME", "sub/a", "sub/A"];
    let entries: Vec<_> = entries.iter().map(|path| entry(path, Some(0))).collect();
    fs::create_dir(root.path().join("sub")).unwrap();
    assert_eq!(offer(&mut data, entries).await, [0, 1, 3]);
    for index in [0, 1, 3] {
        send(&mut data, index, b"").await;
    }
    let summary = read_summary(&mut data).await;
    assert_eq!((summary.files, summary.failed), (3, 2));
    assert!(
        summary.failures[0].reason.raw().contains("Read.me"),
        "{summary:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_files_are_treated_as_requested() {
    use protocol::Overwrite::{Newer, Refuse, Replace, Skip};
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), "old").unwrap();
    let modified = fs::metadata(root.path().join("a")).unwrap().modified();
    let since = modified.unwrap().duration_since(std::time::UNIX_EPOCH);
    let there = i64::try_from(since.unwrap().as_nanos()).unwrap();
    let world = world(root.path());
    for (overwrite, time, wanted, counted) in [
        (Replace, there, vec![], (1, 0, 0)),
        (Refuse, there, vec![], (1, 0, 0)),
        (Refuse, there + 1, vec![], (0, 0, 1)),
        (Skip, there + 1, vec![], (0, 1, 0)),
        (Newer, there - 1, vec![], (0, 1, 0)),
        (Newer, there + 1, vec![0], (0, 0, 0)),
        (Replace, there - 1, vec![0], (0, 0, 0)),
    ] {
        let mut data = put_tree(&world, overwrite).await;
        let mut offered = entry("a", Some(3));
        offered.attributes.modified_ns = Some(time);
        let answer = offer(&mut data, vec![offered]).await;
        assert_eq!(answer, wanted, "{overwrite:?}");
        if wanted.is_empty() {
            let summary = read_summary(&mut data).await;
            let found = (summary.unchanged, summary.skipped, summary.failed);
            assert_eq!(found, counted, "{overwrite:?}");
        }
    }
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"old");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_of_unwanted_files_is_disconnected() {
    let root = tempfile::tempdir().unwrap();
    let world = world(root.path());
    for (index, size, resume) in [(1, Some(3), false), (0, Some(3), true), (0, None, false)] {
        let mut data = put_tree(&world, protocol::Overwrite::Replace).await;
        offer(&mut data, vec![entry("a", Some(3))]).await;
        let head = FileHeader {
            index,
            size,
            resume,
            failed: None,
        };
        let head = protocol::encode(&head).unwrap();
        data.write_bytes(head).await.unwrap();
        assert_eq!(reset_of(data).await, Some(Code::BadRequest));
    }
    let mut data = put_tree(&world, protocol::Overwrite::Replace).await;
    let many = vec![entry("a", Some(3)); protocol::MAX_PAGE_FILES + 1];
    let page = Page {
        entries: many,
        last: true,
        failed: Vec::new(),
        skipped: Vec::new(),
    };
    data.write_bytes(protocol::encode(&page).unwrap())
        .await
        .unwrap();
    assert_eq!(reset_of(data).await, Some(Code::BadRequest));
    assert!(everything(root.path()).is_empty());
    world.pool_is_whole().await;
}
