//! All ten ports are free again, whatever happened to the transfers that had them.

use std::sync::Arc;
use std::time::Duration;

use lftp_ftp::protocol::{self, Reply, Request};
use lftp_ftp::{Attributes, Code, Exit, MemStore, Store, Target};
use lftp_transport::timeout;
use tokio::sync::Barrier;

use crate::protocol::{control, grant, read_reply};
use crate::world::{World, bytes, client_config, get, name, put, server_config};

/// More than a client receives before it is asked to read.
const LARGE: usize = 6_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_eleventh_concurrent_transfer_is_told_that_the_server_is_busy() {
    let world = Arc::new(World::new(server_config("auto:10")));
    world.files.insert(&name("large"), bytes(LARGE, 1));
    // Ten that are granted a port and do not come: their data ports lead nowhere.
    let mut nowhere = client_config();
    nowhere.connect_timeout = Duration::from_secs(30);
    nowhere.port_map = world.data_ports.iter().map(|&port| (port, 1)).collect();
    let mut waiting = Vec::new();
    for _ in 0..10 {
        let mut client = world.client_with(nowhere.clone()).await;
        waiting.push(tokio::spawn(async move { get(&mut client, "large").await }));
    }
    while world.server.pool().free() > 0 {
        lftp_transport::sleep(&*world.runtime, Duration::from_millis(10)).await;
    }
    let mut eleventh = world.client().await;
    for _ in 0..3 {
        let error = get(&mut eleventh, "large").await.unwrap_err();
        assert_eq!(Exit::from(&error), Exit::Busy);
        assert!(error.to_string().contains("try again later"), "{error}");
        let error = put(&mut eleventh, b"x", "a").await.unwrap_err();
        assert_eq!(Exit::from(&error), Exit::Busy);
    }
    // Asking for what is not granted anyway takes no port, and needs none.
    eleventh.ls("").await.unwrap();
    for client in waiting {
        client.abort();
    }
    world.pool_is_whole().await;
    get(&mut eleventh, "large").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn max_clients_can_connect_whatever_the_listen_limit_of_the_transport() {
    let mut config = server_config("same:1");
    config.max_clients = 3;
    config.transport.listen_limit = 1;
    let world = World::new(config);
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = world.client().await;
        client.ls("").await.unwrap();
        clients.push(client);
    }
    // The fourth gets a reply, and not a refusal by the transport.
    let mut fourth = world.client().await;
    let error = fourth.ls("").await.unwrap_err();
    assert_eq!(Exit::from(&error), Exit::Busy, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_connects_keeps_its_port_for_a_limited_time() {
    let mut config = server_config("auto:1");
    config.claim_timeout = Duration::from_millis(200);
    let world = World::new(config);
    let mut nowhere = client_config();
    nowhere.port_map.insert(world.data_ports[0], 1);
    let mut client = world.client_with(nowhere).await;
    let stays = tokio::spawn(async move { put(&mut client, b"x", "a").await });
    while world.server.pool().free() > 0 {
        tokio::task::yield_now().await;
    }
    world.pool_is_whole().await;
    stays.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_transfers_with_killed_clients_leave_the_pool_complete() {
    let world = Arc::new(World::new(server_config("auto:10")));
    world.files.insert(&name("large"), bytes(LARGE, 1));
    let mut steady = world.client().await;
    for round in 0..100_u64 {
        let contents = bytes(2000, round + 1);
        put(&mut steady, &contents, "steady").await.unwrap();
        assert!(get(&mut steady, "steady").await.unwrap() == contents);
        if round.is_multiple_of(5) {
            kill_in_the_middle(&world, round).await;
        }
    }
    world.pool_is_whole().await;
}

/// Starts a transfer and drops it after some time: before the grant, in the handshake of the
/// data connection, in the middle, or after the end.
async fn kill_in_the_middle(world: &World, round: u64) {
    let limit = Duration::from_micros(200 << (round / 5 % 10));
    let mut client = world.client().await;
    let transfer = async {
        if round.is_multiple_of(10) {
            let _ = put(&mut client, &bytes(LARGE, 2), "killed").await;
        } else {
            let _ = get(&mut client, "large").await;
        }
    };
    let _ = timeout(&*world.runtime, limit, transfer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_of_ten_concurrent_transfers_with_killed_clients_leave_the_pool_complete() {
    let world = Arc::new(World::new(server_config("auto:10")));
    for round in 0..4_u64 {
        let barrier = Arc::new(Barrier::new(10));
        let clients: Vec<_> = (0..10_u64)
            .map(|i| {
                let (world, barrier) = (Arc::clone(&world), Arc::clone(&barrier));
                tokio::spawn(async move {
                    let mut client = world.client().await;
                    barrier.wait().await;
                    let contents = bytes(300_000, round * 10 + i + 1);
                    let file = format!("{round}-{i}");
                    let transfer = put(&mut client, &contents, &file);
                    if i.is_multiple_of(3) {
                        let limit = Duration::from_millis(2 * i);
                        let _ = timeout(&*world.runtime, limit, transfer).await;
                    } else {
                        transfer.await.unwrap();
                        let there = world.files.contents(&name(&file)).unwrap();
                        assert!(there == contents, "{file} is not what was sent");
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        world.pool_is_whole().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_ends_and_tells_its_clients() {
    let world = World::new(server_config("auto:2"));
    world.files.insert(&name("a"), bytes(1000, 1));
    let mut client = world.client().await;
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let target = Target {
        store: &store,
        name: &name("a"),
        overwrite: true,
    };
    client.get("a", target, &()).await.unwrap();
    world.server.shutdown();
    world.running.await.unwrap().unwrap();
    let error = client.ls("").await.unwrap_err();
    assert_eq!(Exit::from(&error), Exit::Server, "{error}");
    assert!(!client.is_connected());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_cancels_the_grant_of_another_connection() {
    let world = World::new(server_config("auto:1"));
    let (mut owner, mut other) = (control(&world).await, control(&world).await);
    let request = Request::Put {
        name: "a".into(),
        size: 5,
        overwrite: true,
        source: None,
        allocated: None,
        attributes: Attributes::default(),
    };
    let token = grant(&mut owner, &request).await.token;
    let cancel = protocol::encode(&Request::Cancel { token }).unwrap();
    other.write_bytes(cancel.clone()).await.unwrap();
    let refused: Reply<serde_json::Value> = read_reply(&mut other).await;
    assert_eq!(refused.unwrap_err().code, Code::BadToken);
    assert_eq!(world.server.pool().free(), 0);
    owner.write_bytes(cancel).await.unwrap();
    let done: Reply<serde_json::Value> = read_reply(&mut owner).await;
    done.unwrap();
    world.pool_is_whole().await;
}
