//! Refusals: their codes, their exit codes, and that nothing is left behind.

use std::sync::Arc;

use lftp_ftp::{
    Attributes, ChannelError, Code, DirStore, Exit, MemStore, RequestError, Source, Store,
    StoreError, Target, TransferError,
};

use crate::world::{World, bytes, get, name, put, server_config};

fn refused(error: &TransferError) -> Code {
    match error {
        TransferError::Request(RequestError::Refused(refusal)) => refusal.code,
        TransferError::Rejected(refusal) => refusal.code,
        TransferError::Lost(ChannelError::GaveUp(code)) => *code,
        other => panic!("no refusal: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_out_of_the_root_are_refused_both_ways() {
    let root = tempfile::tempdir().unwrap();
    let outside = root.path().parent().unwrap().join("lftp-must-not-exist");
    let store = Arc::new(DirStore::open(root.path()).unwrap());
    let world = World::with_store(server_config("auto:2"), store, MemStore::new());
    let mut client = world.client().await;
    for bad in [
        "..",
        "../lftp-must-not-exist",
        "/etc/passwd",
        "a/../../x",
        "a/.lftp-1.part",
        "a\0b",
        "",
    ] {
        let error = put(&mut client, b"x", bad).await.unwrap_err();
        assert_eq!(refused(&error), Code::NameRefused, "put {bad:?}");
        assert_eq!(Exit::from(&error), Exit::NameRefused);
        let error = get(&mut client, bad).await.unwrap_err();
        assert_eq!(refused(&error), Code::NameRefused, "get {bad:?}");
    }
    let error = client.ls("..").await.unwrap_err();
    assert_eq!(Exit::from(&error), Exit::NameRefused);
    assert!(!outside.exists());
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    world.pool_is_whole().await;
    // The connection is as good as before.
    put(&mut client, b"x", "fine").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_named_in_the_answer() {
    let world = World::new(server_config("auto:1"));
    let mut client = world.client().await;
    let error = get(&mut client, "nothing.bin").await.unwrap_err();
    assert_eq!(Exit::from(&error), Exit::NotFound);
    assert!(error.to_string().contains("nothing.bin"), "{error}");
    let error = client.ls("nowhere").await.unwrap_err();
    assert_eq!(Exit::from(&error), Exit::NotFound);
    world.pool_is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_file_stays_when_it_is_not_to_be_replaced() {
    let world = World::new(server_config("auto:1"));
    world.files.insert(&name("a"), "old");
    let mut client = world.client().await;
    let error = client
        .put(MemStore::source("new"), "a", false, &())
        .await
        .unwrap_err();
    assert_eq!(Exit::from(&error), Exit::Exists);
    assert_eq!(world.files.contents(&name("a")).unwrap(), "old");
    let store: Arc<dyn Store> = Arc::new(world.files.clone());
    let target = Target {
        store: &store,
        name: &name("a"),
        overwrite: false,
    };
    let error = client.get("a", target, &()).await.unwrap_err();
    assert_eq!(Exit::from(&error), Exit::Exists);
    world.pool_is_whole().await;
    client
        .put(MemStore::source("new"), "a", true, &())
        .await
        .unwrap();
    assert_eq!(world.files.contents(&name("a")).unwrap(), "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_during_a_transfer_ends_it_on_both_sides() {
    let full = MemStore::with_capacity(1_500_000);
    let world = World::with_store(server_config("auto:1"), Arc::new(full.clone()), full);
    let mut client = world.client().await;
    let error = put(&mut client, &bytes(8_000_000, 1), "big")
        .await
        .unwrap_err();
    assert_eq!(Exit::from(&error), Exit::DiskFull, "{error}");
    assert_eq!(world.files.contents(&name("big")), None);
    world.pool_is_whole().await;
    put(&mut client, &bytes(1_000_000, 1), "small")
        .await
        .unwrap();

    world.files.insert(&name("large"), bytes(4_000_000, 2));
    let local = MemStore::with_capacity(1_500_000);
    let store: Arc<dyn Store> = Arc::new(local.clone());
    let target = Target {
        store: &store,
        name: &name("x"),
        overwrite: true,
    };
    let error = client.get("large", target, &()).await.unwrap_err();
    assert_eq!(Exit::from(&error), Exit::DiskFull, "{error}");
    assert_eq!(local.contents(&name("x")), None);
    world.pool_is_whole().await;
}

/// A source that announces more than it has.
#[derive(Debug)]
struct Shrinking(Box<dyn Source>);

impl Source for Shrinking {
    fn size(&self) -> u64 {
        self.0.size() + 1
    }

    fn read(&mut self, max: usize) -> Result<bytes::Bytes, StoreError> {
        self.0.read(max)
    }

    fn fingerprint(&self) -> Option<String> {
        None
    }

    fn allocated(&self) -> Option<u64> {
        None
    }

    fn attributes(&self) -> Attributes {
        Attributes::default()
    }

    fn seek(&mut self, offset: u64) -> Result<(), StoreError> {
        Err(StoreError::no_seek(offset))
    }

    fn has_changed(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn reopen(&self) -> Result<Box<dyn Source>, StoreError> {
        Err(StoreError::no_seek(0))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_shrinks_while_it_is_sent_is_not_kept() {
    let world = World::new(server_config("auto:1"));
    let mut client = world.client().await;
    let source = Box::new(Shrinking(MemStore::source(bytes(3_000_000, 4))));
    let error = client.put(source, "a", true, &()).await.unwrap_err();
    assert!(matches!(error, TransferError::SourceChanged), "{error}");
    assert_eq!(Exit::from(&error), Exit::Integrity);
    world.pool_is_whole().await;
    assert_eq!(world.files.contents(&name("a")), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_beyond_the_limit_get_the_busy_reply() {
    let mut config = server_config("auto:1");
    config.max_clients = 2;
    let world = World::new(config);
    let mut first = world.client().await;
    let mut second = world.client().await;
    first.ls("").await.unwrap();
    second.ls("").await.unwrap();
    let mut third = world.client().await;
    let error = third.ls("").await.unwrap_err();
    assert_eq!(Exit::from(&error), Exit::Busy, "{error}");
    first.close().await;
    // The limit is free again once the server has noticed that the first client left.
    for _ in 0..500 {
        let mut next = world.client().await;
        if next.ls("").await.is_ok() {
            return;
        }
    }
    panic!("the limit is never free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_no_connection_can_be_made() {
    let world = World::new(server_config("auto:1"));
    let free = std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut config = crate::world::client_config();
    config.connect_timeout = std::time::Duration::from_millis(300);
    let runtime = Arc::clone(&world.runtime);
    let error = lftp_ftp::Client::connect(runtime, free, config)
        .await
        .unwrap_err();
    assert_eq!(Exit::from(&error), Exit::NoConnection);
    assert!(error.to_string().contains(&free.to_string()), "{error}");
}
