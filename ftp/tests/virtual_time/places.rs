//! Clients that hold every place of a server, and an honest one that comes after them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use lftp_ftp::protocol::{self, Granted, Hello, LENGTH_BYTES, Purpose, Reply, Request};
use lftp_ftp::{DataPorts, ServerConfig};
use lftp_netem::profile::NetworkProfile;
use lftp_netem::world::{Host, WorldConfig};
use lftp_transport::{Config, Runtime, Stream, VirtualRuntime, WriteError};

use super::fixture::{CLIENT_KEY, FILE, Fixture, SERVER_KEY, identity, noise};

/// 40 ms: the round-trip time of the honest client is twice that.
const NETWORK: &str = "rate = \"20mbit\"\ndelay = \"40ms\"";

/// The address of attacker `number`, in a network of its own.
fn attacker_ip(number: u8) -> std::net::IpAddr {
    Ipv4Addr::new(10, 1, number, 1).into()
}

fn fixture(ports: u16) -> Fixture {
    let network = NetworkProfile::from_toml_str(NETWORK).expect("a valid network");
    let mut server = ServerConfig::default();
    server.data_ports = DataPorts::Auto(ports);
    server.transport.identity = Some(identity(SERVER_KEY));
    Fixture::with_config(&WorldConfig::new(&network, 7), server)
}

/// A client written from the protocol, which does only what it is told.
struct Raw {
    runtime: Arc<dyn Runtime>,
    addr: SocketAddr,
    config: Config,
}

impl Raw {
    fn new(host: &Host, addr: SocketAddr, key: u8) -> Self {
        let config = Config {
            identity: Some(identity(key)),
            keep_alive: Some(std::time::Duration::from_secs(5)),
            ..Config::default()
        };
        Self {
            runtime: VirtualRuntime::new(host.clone()),
            addr,
            config,
        }
    }

    async fn open(&self, port: u16) -> Stream {
        let addr = SocketAddr::new(self.addr.ip(), port);
        let stream = Stream::connect(Arc::clone(&self.runtime), addr, self.config.clone());
        stream.await.expect("a server that listens")
    }

    /// Opens a control connection, which holds a place.
    async fn control(&self) -> Stream {
        let mut control = self.open(self.addr.port()).await;
        let hello = Hello::new(Purpose::Control { data_port: None });
        send(&mut control, protocol::encode(&hello).expect("a hello")).await;
        control
    }

    /// Opens the data connection of a transfer.
    async fn data(&self, granted: &Granted) -> Stream {
        let mut data = self.open(granted.port).await;
        let hello = Hello::new(Purpose::Data {
            token: granted.token,
            resume: false,
            ahead: false,
        });
        send(&mut data, protocol::encode(&hello).expect("a hello")).await;
        data
    }
}

async fn send(stream: &mut Stream, message: bytes::Bytes) {
    stream.write_bytes(message).await.expect("a connection");
}

async fn ask<T: serde::de::DeserializeOwned>(control: &mut Stream, request: &Request) -> Reply<T> {
    send(control, protocol::encode(request).expect("a request")).await;
    let mut length = [0; LENGTH_BYTES];
    control.read_exact(&mut length).await.expect("a reply");
    let mut body = vec![0; protocol::body_bytes(length).expect("a length")];
    control.read_exact(&mut body).await.expect("a reply");
    protocol::decode_reply(&body).expect("a reply")
}

fn put(name: &str, size: u64) -> Request {
    let json = serde_json::json!({"action": "put", "name": name, "size": size});
    serde_json::from_value(json).expect("a request")
}

/// An honest put of a small file: the seconds that it takes from the first packet on.
fn honest_put_seconds(fixture: &mut Fixture) -> f64 {
    let connect = fixture.connect(&fixture.client, CLIENT_KEY);
    let clock = fixture.client.clone();
    let begun = clock.now();
    let task = async move {
        let mut client = connect.await;
        let source = lftp_ftp::MemStore::source(noise(1, 1000));
        let receipt = client.put(source, FILE, true, &()).await;
        receipt.expect("a place");
        client.close().await;
    };
    fixture.world.block_on(task).expect("an end");
    clock.now().nanos_since(begun) as f64 / 1e9
}

fn run_for(fixture: &mut Fixture, seconds: u64) {
    let until = fixture.world.now().plus_nanos(seconds * 1_000_000_000);
    fixture.world.run_until(until).expect("no deadlock");
}

#[test]
fn grants_that_nobody_collects_give_way_to_a_client_from_elsewhere() {
    let mut fixture = fixture(10);
    let host = fixture
        .world
        .add_server(attacker_ip(0))
        .expect("an address");
    let raw = Raw::new(&host, fixture.addr, 9);
    host.clone().spawn(async move {
        let mut control = raw.control().await;
        // Again and again, so that what is given back is taken at once.
        for number in 0_u64.. {
            let granted: Reply<Granted> = ask(&mut control, &put(&format!("{number}"), 10)).await;
            if granted.is_err() {
                raw_pause(&raw).await;
            }
        }
    });
    run_for(&mut fixture, 5);
    assert_eq!(fixture.server.pool().free(), 0, "no attack");
    let took = honest_put_seconds(&mut fixture);
    assert!(took < 2.0, "{took} s");
}

async fn raw_pause(raw: &Raw) {
    lftp_transport::sleep(&*raw.runtime, std::time::Duration::from_millis(20)).await;
}

#[test]
fn grants_of_many_networks_expire_when_others_wait() {
    let mut fixture = fixture(10);
    for number in 0..10 {
        let host = fixture
            .world
            .add_server(attacker_ip(number))
            .expect("an address");
        let raw = Raw::new(&host, fixture.addr, 20 + number);
        host.clone().spawn(async move {
            let mut control = raw.control().await;
            let granted: Reply<Granted> = ask(&mut control, &put(&format!("{number}"), 10)).await;
            granted.expect("a place");
            std::future::pending::<()>().await;
        });
    }
    run_for(&mut fixture, 11);
    assert_eq!(fixture.server.pool().free(), 0, "no attack");
    let took = honest_put_seconds(&mut fixture);
    assert!(took < 2.0, "{took} s");
}

/// Fills the places for clients from so many networks.
fn idlers(networks: u8) -> Fixture {
    let mut fixture = fixture(2);
    let each = 64 / usize::from(networks);
    for number in 0..networks {
        let host = fixture
            .world
            .add_server(attacker_ip(number))
            .expect("an address");
        let raw = Raw::new(&host, fixture.addr, 20 + number);
        host.clone().spawn(async move {
            let mut held = Vec::new();
            for _ in 0..each {
                held.push(raw.control().await);
            }
            std::future::pending::<()>().await;
        });
    }
    fixture
}

#[test]
fn clients_that_idle_give_their_places_to_one_from_elsewhere() {
    for networks in [1, 16] {
        let mut fixture = idlers(networks);
        run_for(&mut fixture, 10);
        let took = honest_put_seconds(&mut fixture);
        assert!(took < 2.0, "{took} s with {networks} networks");
    }
}

#[test]
fn clients_of_many_networks_that_idle_for_long_give_their_places_to_anybody() {
    let mut fixture = idlers(64);
    run_for(&mut fixture, 35);
    let took = honest_put_seconds(&mut fixture);
    assert!(took < 2.0, "{took} s");
}

#[test]
fn transfers_held_by_a_byte_now_and_then_give_their_ports_to_who_waits() {
    let mut fixture = fixture(3);
    let host = fixture
        .world
        .add_server(attacker_ip(0))
        .expect("an address");
    let (ended, endings) = std::sync::mpsc::channel();
    for number in 0..3 {
        let raw = Raw::new(&host, fixture.addr, 20 + number);
        let ended = ended.clone();
        host.clone().spawn(async move {
            let mut control = raw.control().await;
            let granted: Reply<Granted> = ask(&mut control, &put(&format!("{number}"), 1000)).await;
            let mut data = raw.data(&granted.expect("a place")).await;
            loop {
                if let Err(error) = data.write_all(b"x").await {
                    let _ = ended.send(error);
                    break;
                }
                lftp_transport::sleep(&*raw.runtime, std::time::Duration::from_secs(45)).await;
            }
            std::future::pending::<()>().await;
        });
    }
    run_for(&mut fixture, 130);
    assert_eq!(fixture.server.pool().free(), 0, "no attack");
    let took = honest_put_seconds(&mut fixture);
    assert!(took < 2.0, "{took} s");
    run_for(&mut fixture, 60);
    // One of them made room, and is told why.
    let endings: Vec<WriteError> = endings.try_iter().collect();
    assert_eq!(endings.len(), 1);
    let said = format!("{:?}", endings[0]);
    let reason = 0x100 + 20;
    assert!(said.contains(&reason.to_string()), "{said}");
}
