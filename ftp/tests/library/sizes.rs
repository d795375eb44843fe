//! Sizes, offsets and times that a peer may name and no disk has: no sum of them overflows.

use std::sync::Arc;

use bytes::Bytes;
use lftp_ftp::protocol::{
    self, Answer, Cancelled, FileHeader, Granted, HeldBlocks, Page, Reply, Request, Token,
    TreeEntry,
};
use lftp_ftp::{
    Attributes, Client, Code, DirStore, Exit, FailedFile, MemStore, Overwrite, Plan, Progress,
    Store, Target, TransferError, Tree, TreeSummary,
};
use lftp_transport::{Identity, Listener, Stream};
use serde_json::json;

use crate::protocol::{connect, control, data_hello, grant, read_body, read_reply};
use crate::world::{World, bytes, client_config, name, put, server_config};

const EXTREME: [u64; 5] = [
    u64::MAX,
    u64::MAX - 1,
    (1 << 63) + 1,
    i64::MAX as u64,
    1 << 62,
];

/// A file of a tree, with attributes as extreme as its size.
fn entry(path: &str, size: u64) -> TreeEntry {
    let attributes = Attributes {
        mode: Some(u32::MAX),
        modified_ns: Some(i64::MIN),
    };
    TreeEntry {
        path: path.to_owned(),
        size: Some(size),
        attributes,
        source: Some("source".to_owned()),
        allocated: Some(u64::MAX),
    }
}

fn page(last: bool) -> Page {
    let entries = (0..4).map(|i| entry(&format!("{last}{i}"), u64::MAX - i));
    Page {
        entries: entries.collect(),
        last,
        failed: Vec::new(),
        skipped: Vec::new(),
    }
}

/// Header of a file that cannot be sent after all.
fn missing(index: usize) -> FileHeader {
    FileHeader {
        index,
        size: None,
        resume: false,
        failed: Some(FailedFile {
            path: "path".into(),
            code: Code::Io,
            reason: "gone".into(),
        }),
    }
}

fn encoded<T: serde::Serialize>(message: &T) -> Bytes {
    protocol::encode(message).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_of_any_size_is_granted_or_refused() {
    let root = tempfile::tempdir().unwrap();
    let on_disk: Arc<dyn Store> = Arc::new(DirStore::open(root.path()).unwrap());
    let limited = MemStore::with_capacity(1 << 20);
    for store in [on_disk, Arc::new(MemStore::new()), Arc::new(limited)] {
        let world = World::with_store(server_config("auto:1"), store, MemStore::new());
        let mut control = control(&world).await;
        for (size, allocated) in EXTREME.into_iter().zip(EXTREME.into_iter().rev()) {
            for (source, allocated) in [(None, None), (Some("s".to_owned()), Some(allocated))] {
                let request = Request::Put {
                    name: "a".into(),
                    size,
                    overwrite: true,
                    source,
                    allocated,
                    attributes: Attributes {
                        mode: Some(u32::MAX),
                        modified_ns: Some(i64::MIN),
                    },
                };
                control.write_bytes(encoded(&request)).await.unwrap();
                let Ok(granted) = read_reply::<Granted>(&mut control).await else {
                    continue;
                };
                assert_eq!(granted.size, size);
                let token = granted.token;
                control
                    .write_bytes(encoded(&Request::Cancel { token }))
                    .await
                    .unwrap();
                read_reply::<Cancelled>(&mut control).await.unwrap();
            }
        }
        drop(control);
        world.pool_is_whole().await;
        put(&mut world.client().await, b"x", "fine").await.unwrap();
    }
}

/// Opens the data connection of a tree that is put, up to the `ACK`.
async fn put_tree(world: &World, control: &mut Stream, dry_run: bool) -> Stream {
    let request = Request::PutTree {
        name: "t".into(),
        overwrite: Overwrite::Replace,
        dry_run,
        source: "source".into(),
        attributes: Attributes::default(),
    };
    let granted = grant(control, &request).await;
    let mut data = connect(world, granted.port).await;
    data.write_bytes(data_hello(granted.token)).await.unwrap();
    read_body(&mut data).await;
    data
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_adds_up_the_sizes_of_a_tree_without_an_overflow() {
    let root = tempfile::tempdir().unwrap();
    let store = Arc::new(DirStore::open(root.path()).unwrap());
    let world = World::with_store(server_config("auto:1"), store, MemStore::new());
    let mut control = control(&world).await;
    for dry_run in [true, false] {
        let mut data = put_tree(&world, &mut control, dry_run).await;
        for page in [page(false), page(true)] {
            data.write_bytes(encoded(&page)).await.unwrap();
            let answer: Answer = protocol::decode(&read_body(&mut data).await).unwrap();
            assert_eq!(answer.want.len(), if dry_run { 0 } else { 4 });
        }
        let failed = if dry_run { 0 } else { 8 };
        for index in 0..failed {
            data.write_bytes(encoded(&missing(index % 4)))
                .await
                .unwrap();
        }
        let summary: Reply<TreeSummary> = read_reply(&mut data).await;
        let summary = summary.unwrap();
        assert_eq!(summary.failed, failed as u64);
        assert_eq!(summary.bytes, if dry_run { u64::MAX } else { 0 });
        drop(data);
        world.pool_is_whole().await;
    }
    put(&mut world.client().await, b"x", "fine").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_that_resumes_behind_blocks_that_no_file_has_starts_at_the_beginning() {
    let world = World::new(server_config("auto:1"));
    world.files.insert(&name("a"), bytes(9_000_000, 1));
    let mut control = control(&world).await;
    let hash = "ab".repeat(32);
    for (blocks, size, block) in [
        (u64::MAX, 9_000_000, 0),
        (u64::MAX, u64::MAX, u64::MAX),
        (1, 9_000_000, u64::MAX),
        (u64::MAX / (4 << 20), 9_000_000, u64::MAX / (4 << 20)),
    ] {
        let held =
            json!({"blocks": blocks, "size": size, "samples": [{"block": block, "hash": hash}]});
        let held: HeldBlocks = serde_json::from_value(held).unwrap();
        let request = Request::Get {
            name: "a".into(),
            held: Some(held),
        };
        let granted = grant(&mut control, &request).await;
        assert_eq!(granted.from, 0);
        let cancel = Request::Cancel {
            token: granted.token,
        };
        control.write_bytes(encoded(&cancel)).await.unwrap();
        read_reply::<Cancelled>(&mut control).await.unwrap();
    }
}

/// A client of a server that grants `size` bytes and sends `data`.
async fn deceived(world: &World, size: u64, from: u64, data: Vec<Bytes>) -> Client {
    let mut config = client_config().transport;
    config.identity = Some(Identity::from_secret([1; 32]));
    let listen = || {
        let addr = "127.0.0.1:0".parse().unwrap();
        Listener::bind(Arc::clone(&world.runtime), addr, config.clone()).unwrap()
    };
    let (control_port, data_port) = (listen(), listen());
    let addr = control_port.local_addr();
    tokio::spawn(async move {
        let mut control = control_port.accept().await.unwrap();
        read_body(&mut control).await;
        read_body(&mut control).await;
        let granted: Reply<Granted> = Ok(Granted {
            port: data_port.local_addr().port(),
            size,
            token: Token([0; 16]),
            held: None,
            from,
            source: Some("source".to_owned()),
            allocated: None,
            attributes: Attributes {
                mode: Some(u32::MAX),
                modified_ns: Some(i64::MIN),
            },
        });
        let granted = protocol::encode_reply(&granted).unwrap();
        control.write_bytes(granted).await.unwrap();
        let mut stream = data_port.accept().await.unwrap();
        for bytes in data {
            stream.write_bytes(bytes).await.unwrap();
        }
        while let Ok(Some(_)) = stream.read_chunk(1 << 20).await {}
    });
    let runtime = Arc::clone(&world.runtime);
    let mut config = client_config();
    // This server answers no second request.
    config.answer_timeout = std::time::Duration::from_millis(300);
    Client::connect(runtime, addr, config).await.unwrap()
}

/// Adds up what it is told, as a display does.
#[derive(Default)]
struct Display(std::sync::Mutex<Vec<u64>>);

impl Progress for Display {
    fn begin(&self, total_bytes: u64) {
        self.grow(total_bytes);
    }

    fn at(&self, bytes: u64) {
        self.grow(bytes);
    }

    fn grow(&self, total_bytes: u64) {
        self.0.lock().unwrap().push(total_bytes);
    }

    fn verified(&self, bytes: u64) {
        self.grow(bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_adds_up_the_sizes_of_a_tree_without_an_overflow() {
    for dry_run in [true, false] {
        let world = World::new(server_config("auto:1"));
        let mut data = vec![encoded(&page(false)), encoded(&page(true))];
        if !dry_run {
            data.extend((0..8).map(|index| encoded(&missing(index % 4))));
        }
        let mut client = deceived(&world, 0, 0, data).await;
        let local = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(DirStore::open(local.path()).unwrap());
        let tree = Tree {
            store: &store,
            root: None,
            source: "source",
        };
        let plan = Plan {
            dry_run,
            ..Plan::default()
        };
        let display = Display::default();
        let summary = client.get_tree("t", tree, &plan, &display).await.unwrap();
        assert_eq!(summary.failed, if dry_run { 0 } else { 8 });
        assert_eq!(summary.bytes, if dry_run { u64::MAX } else { 0 });
        assert!(display.0.lock().unwrap().contains(&u64::MAX));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_of_a_size_that_no_disk_has_is_an_error_and_leaves_nothing() {
    for size in EXTREME {
        for from in [0, 4 << 20, u64::MAX] {
            let world = World::new(server_config("auto:1"));
            let mut client = deceived(&world, size, from, vec![Bytes::from_static(b"x")]).await;
            let local = tempfile::tempdir().unwrap();
            let store: Arc<dyn Store> = Arc::new(DirStore::open(local.path()).unwrap());
            let target = Target {
                store: &store,
                name: &name("a"),
                overwrite: true,
            };
            let display = Display::default();
            let got = client.get("a", target, &display);
            let limit = std::time::Duration::from_secs(2);
            let got = lftp_transport::timeout(&*world.runtime, limit, got).await;
            match got {
                Ok(Err(error)) => assert!(
                    matches!(Exit::from(&error), Exit::DiskFull | Exit::Protocol),
                    "{size} from {from}: {error}"
                ),
                Ok(Ok(_)) => panic!("{size} bytes have arrived"),
                // A disk that grows as data arrives waits for more of it.
                Err(_) => assert_eq!(from, 0),
            }
            assert!(!local.path().join("a").exists());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_has_verified_more_than_there_is_confuses_no_sum() {
    let world = World::new(server_config("auto:1"));
    let verified = encoded(&json!({"verified": u64::MAX}));
    let checked = encoded(&json!({"checked": u64::MAX}));
    let early = encoded(&json!({"again": [u64::MAX]}));
    let data = vec![verified, checked, early];
    let mut client = deceived(&world, 9, 0, data).await;
    let source = MemStore::source(bytes(9_000_000, 3));
    let error = client.put(source, "a", true, &Display::default()).await;
    let error = error.unwrap_err();
    assert_eq!(Exit::from(&error), Exit::Protocol, "{error}");
    assert!(matches!(error, TransferError::Lost(_)), "{error}");
}
