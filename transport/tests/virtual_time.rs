//! Both ends of a connection in virtual time: the driver, its timers and its sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use lftp_netem::profile::NetworkProfile;
use lftp_netem::world::{World, WorldStats};
use lftp_transport::{
    Config, ConnectError, ConnectionError, Identity, Listener, Runtime, Stream, VirtualRuntime,
    sleep,
};

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 1));

fn world(network: &str, seed: u64) -> World {
    World::new(&NetworkProfile::from_toml_str(network).unwrap(), seed)
}

/// Sends a megabyte to an echo server and reads it back; when that is done, and what it took.
fn echo(seed: u64) -> (u64, WorldStats) {
    let mut world = world("rate = '50mbit'\ndelay = '15ms'\nloss = '2%'", seed);
    let server = VirtualRuntime::new(world.add_server(SERVER).unwrap());
    let client = VirtualRuntime::new(world.add_client(CLIENT).unwrap());
    let addr = SocketAddr::new(SERVER, 7);
    let listener = Listener::bind(server.clone(), addr, Config::default()).unwrap();
    server.spawn(Box::pin(async move {
        let mut stream = listener.accept().await.unwrap();
        while let Some(chunk) = stream.read_chunk(usize::MAX).await.unwrap() {
            stream.write_bytes(chunk).await.unwrap();
        }
        stream.finish().await.unwrap();
    }));
    let sent: Vec<u8> = (0..1 << 20_u32).map(|at| (at >> 7) as u8).collect();
    let expected = sent.clone();
    let received = world.block_on(async move {
        let mut stream = Stream::connect(client, addr, Config::default())
            .await
            .unwrap();
        stream.write_all(&sent).await.unwrap();
        stream.finish().await.unwrap();
        let mut received = Vec::new();
        while let Some(chunk) = stream.read_chunk(usize::MAX).await.unwrap() {
            received.extend_from_slice(&chunk);
        }
        received
    });
    assert!(received.unwrap() == expected);
    (world.now().as_nanos(), world.stats())
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let first = echo(1);
    assert_eq!(echo(1), first);
    assert_ne!(echo(2), first);
}

#[test]
fn a_timer_fires_at_its_nanosecond() {
    let mut world = world("delay = '1ms'", 1);
    let runtime = VirtualRuntime::new(world.add_client(CLIENT).unwrap());
    let slept = world.block_on(async move {
        sleep(&*runtime, Duration::from_nanos(1_234_567)).await;
        runtime.now().as_nanos()
    });
    assert_eq!(slept.unwrap(), 1_234_567);
}

#[test]
fn a_host_without_a_listener_never_answers() {
    let mut world = world("delay = '10ms'", 1);
    let client = VirtualRuntime::new(world.add_client(CLIENT).unwrap());
    let addr = SocketAddr::new(SERVER, 7);
    let connected = world.block_on(Stream::connect(client, addr, Config::default()));
    assert!(matches!(
        connected.unwrap().unwrap_err(),
        ConnectError::Connection(ConnectionError::TimedOut)
    ));
    // The 20 retransmissions of a SYN, and the wait after the last one.
    assert!(world.now().as_nanos() > 40_000_000_000);
}

#[test]
fn a_connection_that_ends_before_it_is_accepted_is_not_accepted() {
    let mut world = world("delay = '10ms'", 1);
    let server = VirtualRuntime::new(world.add_server(SERVER).unwrap());
    let client = VirtualRuntime::new(world.add_client(CLIENT).unwrap());
    let addr = SocketAddr::new(SERVER, 7);
    let config = Config {
        listen_limit: 2,
        ..Config::default()
    };
    let listener = Listener::bind(server, addr, config).unwrap();
    let metrics = listener.metrics();
    let (first, second) = world
        .block_on(async move {
            // Nobody accepts meanwhile. Four in a row: those that have ended hold no place.
            for _ in 0..4 {
                let mut gone = Stream::connect(client.clone(), addr, Config::default())
                    .await
                    .unwrap();
                gone.reset(1);
                sleep(&*client, Duration::from_secs(1)).await;
                assert_eq!(metrics.read().connections, 0, "it is forgotten");
            }
            let identity = Identity::from_secret([7; 32]);
            let key = identity.public_key();
            let config = Config {
                identity: Some(identity),
                ..Config::default()
            };
            let stays = Stream::connect(client, addr, config).await.unwrap();
            let accepted = listener.accept().await.unwrap();
            drop(stays);
            (accepted.peer_key(), Some(key))
        })
        .unwrap();
    assert_eq!(first, second);
}
