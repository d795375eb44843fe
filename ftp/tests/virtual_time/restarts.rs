//! Clients and servers that are killed and start again.

use std::sync::{Arc, Mutex};

use lftp_ftp::{ChannelError, DataPorts, Exit, MemStore, Name, ServerConfig, TransferError};
use lftp_netem::world::Host;

use super::fixture::{
    CLIENT_KEY, FILE, Fixture, SERVER_KEY, client_ip, get, identity, noise, serve,
};

const PORTS: u8 = 10;

const NETWORK: &str = "rate = \"20mbit\"\ndelay = \"20ms\"";

/// Ten of them take the link for 16 s.
const FILE_BYTES: usize = 4 << 20;

const SECOND_NS: u64 = 1_000_000_000;

/// Results of gets.
type Results = Arc<Mutex<Vec<Result<(), TransferError>>>>;

/// A server whose ports are all taken by gets of one key, each from a host of its own.
fn full() -> (Fixture, Vec<Host>, Results) {
    let mut fixture = Fixture::with_ports(PORTS.into(), NETWORK, 11);
    let name = Name::parse(FILE).expect("a name");
    fixture.files.insert(&name, noise(1, FILE_BYTES));
    let results = Results::default();
    let start = |index| {
        let ip = client_ip(1 + index);
        let host = fixture.world.add_client(ip).expect("an address");
        let (connect, results) = (fixture.connect(&host, CLIENT_KEY), Arc::clone(&results));
        host.spawn(async move {
            let got = get(&mut connect.await, &MemStore::new()).await;
            results.lock().expect("no panic").push(got.map(|_| ()));
        });
        host
    };
    let hosts: Vec<Host> = (0..PORTS).map(start).collect();
    pass(&mut fixture, SECOND_NS);
    assert_eq!(fixture.server.pool().free(), 0);
    (fixture, hosts, results)
}

fn pass(fixture: &mut Fixture, ns: u64) {
    let until = fixture.world.now().plus_nanos(ns);
    fixture.world.run_until(until).expect("no deadlock");
}

/// One more get with the key pair `key`: its result, and the nanoseconds until then.
fn one_more(fixture: &mut Fixture, key: u8) -> (Result<(), TransferError>, u64) {
    let started = fixture.world.now();
    let connect = fixture.connect(&fixture.client, key);
    let task = async move {
        let mut client = connect.await;
        get(&mut client, &MemStore::new()).await.map(|_| ())
    };
    let got = fixture.world.block_on(task).expect("an end");
    (got, fixture.world.now().nanos_since(started))
}

fn is_busy(got: &Result<(), TransferError>) -> bool {
    got.as_ref()
        .is_err_and(|error| Exit::from(error) == Exit::Busy)
}

#[test]
fn the_data_ports_of_killed_gets_are_reclaimed_by_the_same_key_and_by_no_other() {
    let (mut fixture, hosts, _) = full();
    for host in &hosts {
        host.kill();
    }
    let (got, took_ns) = one_more(&mut fixture, CLIENT_KEY + 1);
    assert!(is_busy(&got), "{got:?}");
    assert!(took_ns < SECOND_NS, "{took_ns}");
    // Long before the killed ones' connections have timed out.
    let started = fixture.world.now();
    for _ in 0..3 {
        let (got, took_ns) = one_more(&mut fixture, CLIENT_KEY);
        got.expect("a data port");
        // 2 s for the file itself.
        assert!(took_ns < 6 * SECOND_NS, "{took_ns}");
    }
    assert!(fixture.world.now().nanos_since(started) < 12 * SECOND_NS);
    // One port was reclaimed and used three times.
    assert_eq!(fixture.server.pool().free(), 1);
}

#[test]
fn live_gets_keep_their_data_ports_from_their_own_key() {
    let (mut fixture, _hosts, results) = full();
    let (got, took_ns) = one_more(&mut fixture, CLIENT_KEY);
    assert!(is_busy(&got), "{got:?}");
    assert!(took_ns < SECOND_NS, "liveness is known soon: {took_ns}");
    pass(&mut fixture, 60 * SECOND_NS);
    let results = results.lock().expect("no panic");
    assert_eq!(results.len(), usize::from(PORTS));
    for result in &*results {
        assert!(result.is_ok(), "{result:?}");
    }
    assert_eq!(fixture.server.pool().free(), usize::from(PORTS));
}

#[test]
fn clients_of_a_restarted_server_notice_at_once() {
    for seed in 0..20 {
        for is_put in [false, true] {
            let mut fixture = Fixture::new(NETWORK, seed);
            let (connect, results) = (
                fixture.connect(&fixture.client, CLIENT_KEY),
                Results::default(),
            );
            let (shared, contents) = (Arc::clone(&results), noise(seed, 2 * FILE_BYTES));
            fixture
                .files
                .insert(&Name::parse(FILE).expect("a name"), contents.clone());
            fixture.client.spawn(async move {
                let mut client = connect.await;
                let result = if is_put {
                    client
                        .put(MemStore::source(contents), "new", true, &())
                        .await
                } else {
                    get(&mut client, &MemStore::new()).await
                };
                shared.lock().expect("no panic").push(result.map(|_| ()));
            });
            pass(&mut fixture, SECOND_NS);
            fixture.server_host.kill();
            fixture.server_host.restart();
            let mut config = ServerConfig::default();
            config.data_ports = DataPorts::List(vec![fixture.data_port]);
            config.transport.identity = Some(identity(SERVER_KEY));
            (fixture.server, _) = serve(&fixture.server_host, config, &fixture.files);
            // 300 ms of silence, a round trip, and what was already in flight.
            pass(&mut fixture, SECOND_NS / 2);
            let results = results.lock().expect("no panic");
            assert!(
                matches!(
                    &results[..],
                    [Err(TransferError::Lost(ChannelError::WentAway))]
                ),
                "seed {seed}, put: {is_put}: {results:?}"
            );
        }
    }
}
