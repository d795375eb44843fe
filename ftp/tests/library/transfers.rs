use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lftp_ftp::{
    ClientConfig, Digest, DirStore, EntryKind, HashStore, MemStore, PatternSource, Progress, Store,
    Target,
};

use crate::world::{World, bytes, client_config, get, name, put, server_config};

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_size_come_back_unchanged() {
    let world = World::new(server_config("auto:2"));
    let mut client = world.client().await;
    let block = 1 << 20;
    for (i, len) in [0, 1, 1000, block - 1, block, block + 1, 3 * block + 17]
        .into_iter()
        .enumerate()
    {
        let contents = bytes(len, i as u64 + 1);
        let receipt = put(&mut client, &contents, "file").await.unwrap();
        assert_eq!(receipt.bytes, len as u64);
        assert_eq!(receipt.hash, blake3::hash(&contents));
        assert!(receipt.duration_ns > 0);
        assert_ne!(receipt.data_flow, receipt.control_flow);
        assert!(
            world.files.contents(&name("file")).unwrap() == contents,
            "{len} bytes"
        );
        assert!(
            get(&mut client, "file").await.unwrap() == contents,
            "{len} bytes"
        );
    }
    world.pool_is_whole().await;
    client.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_port_is_enough_for_everything() {
    let world = World::new(server_config("same"));
    assert!(world.data_ports.is_empty());
    let mut client = world.client().await;
    let contents = bytes(2_000_000, 3);
    put(&mut client, &contents, "a").await.unwrap();
    assert!(get(&mut client, "a").await.unwrap() == contents);
    assert_eq!(client.ls("").await.unwrap().len(), 1);
    world.pool_is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_one_port_serves_one_transfer_after_another_without_a_pause() {
    let world = World::new(server_config("auto:1"));
    let mut client = world.client().await;
    for round in 0..20 {
        put(&mut client, b"contents", "a")
            .await
            .unwrap_or_else(|e| panic!("{round}: {e}"));
        get(&mut client, "a")
            .await
            .unwrap_or_else(|e| panic!("{round}: {e}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_clients_transfer_at_once() {
    let world = Arc::new(World::new(server_config("auto:10")));
    let clients: Vec<_> = (0..5_u64)
        .map(|i| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let mut client = world.client().await;
                let contents = bytes(1_500_000, i + 1);
                let file = format!("file-{i}");
                put(&mut client, &contents, &file).await.unwrap();
                assert!(get(&mut client, &file).await.unwrap() == contents);
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    world.pool_is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_on_the_disk_work_at_both_ends() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(there.path().join("sub")).unwrap();
    let contents = bytes(2_500_000, 9);
    std::fs::write(here.path().join("original"), &contents).unwrap();
    let store = Arc::new(DirStore::open(there.path()).unwrap());
    let world = World::with_store(server_config("auto:2"), store, MemStore::new());
    let local: Arc<dyn Store> = Arc::new(DirStore::open(here.path()).unwrap());
    let mut client = world.client().await;

    let source = local.open(&name("original")).unwrap();
    client.put(source, "sub/copy", true, &()).await.unwrap();
    assert!(std::fs::read(there.path().join("sub/copy")).unwrap() == contents);
    let target = Target {
        store: &local,
        name: &name("back"),
        overwrite: false,
    };
    client.get("sub/copy", target, &()).await.unwrap();
    assert!(std::fs::read(here.path().join("back")).unwrap() == contents);

    let entries = client.ls("").await.unwrap();
    assert_eq!(
        (entries[0].name.raw(), entries[0].kind),
        ("sub", EntryKind::Folder)
    );
    let entries = client.ls("sub").await.unwrap();
    assert_eq!(
        (entries[0].name.raw(), entries[0].size),
        ("copy", contents.len() as u64)
    );
    assert_eq!(
        std::fs::read_dir(there.path().join("sub")).unwrap().count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_listing_comes_in_pages_and_complete() {
    let world = World::new(server_config("auto:1"));
    let names: Vec<String> = (0..1500)
        .map(|i| format!("{i:05}-{}", "n".repeat(100)))
        .collect();
    for file in &names {
        world.files.insert(&name(file), "x");
    }
    let mut client = world.client().await;
    let listed: Vec<String> = client
        .ls("")
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.name.into_raw())
        .collect();
    assert_eq!(listed, names);
    assert!(client.ls_page("", None).await.unwrap().more);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_file_that_is_only_hashed_is_transferred_like_any_other() {
    let store = HashStore::new();
    let pattern = PatternSource::new(5, 4_000_001);
    store.offer(&name("offered"), pattern.clone());
    let server = Arc::new(store.clone());
    let world = World::with_store(server_config("auto:1"), server, MemStore::new());
    let mut client = world.client().await;
    let source = Box::new(pattern.clone());
    client.put(source, "a", true, &()).await.unwrap();
    assert_eq!(store.received(&name("a")), Some(Digest::from(&pattern)));
    let here = HashStore::new();
    let local: Arc<dyn Store> = Arc::new(here.clone());
    let target = Target {
        store: &local,
        name: &name("b"),
        overwrite: true,
    };
    client.get("offered", target, &()).await.unwrap();
    assert_eq!(here.received(&name("b")), Some(Digest::from(&pattern)));
}

#[derive(Default)]
struct Seen {
    total: AtomicU64,
    last: AtomicU64,
    calls: AtomicU64,
}

impl Progress for Seen {
    fn begin(&self, total_bytes: u64) {
        self.total.store(total_bytes, Ordering::SeqCst);
    }

    fn at(&self, bytes: u64) {
        let before = self.last.swap(bytes, Ordering::SeqCst);
        assert!(before <= bytes, "progress never goes back");
        self.calls.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_goes_up_and_ends_at_the_size_of_the_file() {
    let world = World::new(server_config("auto:1"));
    let mut client = world.client_with(client_config()).await;
    let len = 3_000_000;
    for download in [false, true] {
        let seen = Seen::default();
        if download {
            let store: Arc<dyn Store> = Arc::new(MemStore::new());
            let target = Target {
                store: &store,
                name: &name("a"),
                overwrite: true,
            };
            client.get("a", target, &seen).await.unwrap();
        } else {
            client
                .put(MemStore::source(bytes(len, 5)), "a", true, &seen)
                .await
                .unwrap();
        }
        assert_eq!(seen.total.into_inner(), len as u64);
        assert_eq!(seen.last.into_inner(), len as u64);
        assert!(seen.calls.into_inner() > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_ports_behind_a_proxy_are_found_through_the_map() {
    let world = World::new(server_config("auto:1"));
    let mut config = client_config();
    // No server listens on the announced port; the client must use the mapped one.
    let real = world.data_ports[0];
    let mut elsewhere = client_config();
    elsewhere.connect_timeout = Duration::from_millis(300);
    elsewhere.port_map.insert(real, 1);
    let mut lost = world.client_with(elsewhere).await;
    assert!(put(&mut lost, b"x", "a").await.is_err());
    world.pool_is_whole().await;
    config.port_map.insert(real, real);
    let mut client = world.client_with(config).await;
    put(&mut client, b"x", "a").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_be_idle_before_it_asks_and_learns_when_it_was_idle_too_long() {
    let mut config = server_config("auto:1");
    config.hello_timeout = Duration::from_millis(50);
    config.idle_limit = Duration::from_millis(500);
    let world = World::new(config);
    let mut client = world.client().await;
    lftp_transport::sleep(&*world.runtime, Duration::from_millis(150)).await;
    assert!(client.is_connected());
    client.ls("").await.unwrap();
    for _ in 0..1000 {
        if !client.is_connected() {
            assert!(client.ls("").await.is_err());
            return;
        }
        lftp_transport::sleep(&*world.runtime, Duration::from_millis(20)).await;
    }
    panic!("a client that asks for nothing is kept for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_silent_for_long_is_not_taken_for_dead() {
    let (patient, impatient) = (Duration::from_secs(30), Duration::from_millis(500));
    for (server, client) in [(impatient, patient), (patient, impatient)] {
        let mut config = server_config("auto:1");
        config.transport.idle_timeout = server;
        let world = World::new(config);
        let mut config = ClientConfig::default();
        config.transport.idle_timeout = client;
        let mut client = world.client_with(config).await;
        client.ls("").await.unwrap();
        lftp_transport::sleep(&*world.runtime, Duration::from_secs(2)).await;
        client.ls("").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_congestion_control_and_recovery_transfers_files_both_ways() {
    let tuned = |congestion| lftp_transport::Config {
        congestion,
        ..server_config("auto:1").transport
    };
    let mut all: Vec<_> = lftp_transport::Congestion::ALL.map(tuned).into();
    all.push(lftp_transport::Config::original());
    for transport in all {
        let mut config = server_config("auto:1");
        config.transport = transport.clone();
        let world = World::new(config);
        let mut config = client_config();
        config.transport = transport.clone();
        let mut client = world.client_with(config).await;
        let contents = bytes(300_000, 8);
        put(&mut client, &contents, "a").await.unwrap();
        assert!(
            get(&mut client, "a").await.unwrap() == contents,
            "{transport:?}"
        );
    }
}
