//! Who is killed and comes again: clients, whose places are theirs, and servers, which say so.

use std::sync::{Arc, Mutex};

use lftp_ftp::{DataPorts, Exit, LinkError, MemStore, Name, ServerConfig, TransferError};
use lftp_netem::world::{Host, Side};

use super::house::{CLIENT_KEY, FILE, House, SERVER_KEY, get, identity, noise, serve};
use crate::run::client_ip;

const PORTS: u16 = 10;

const NETWORK: &str = "rate = \"20mbit\"\ndelay = \"20ms\"";

/// Ten of them take the link for 16 s.
const FILE_BYTES: usize = 4 << 20;

const SECOND_NS: u64 = 1_000_000_000;

/// How gets ended.
type Ends = Arc<Mutex<Vec<Result<(), TransferError>>>>;

/// A server whose ports are all taken by gets of one key, each from a host of its own.
fn full() -> (House, Vec<Host>, Ends) {
    let mut house = House::with_ports(PORTS, NETWORK, 11);
    let name = Name::parse(FILE).expect("a name");
    house.files.insert(&name, noise(1, FILE_BYTES));
    let ends = Ends::default();
    let begin = |index| {
        let ip = client_ip(1 + usize::from(index));
        let host = house.world.add_host(Side::Client, ip).expect("an address");
        let (connect, ends) = (house.connect(&host, CLIENT_KEY), Arc::clone(&ends));
        host.spawn(async move {
            let got = get(&mut connect.await, &MemStore::new()).await;
            ends.lock().expect("no panic").push(got.map(|_| ()));
        });
        host
    };
    let hosts: Vec<Host> = (0..PORTS).map(begin).collect();
    pass(&mut house, SECOND_NS);
    assert_eq!(house.server.pool().free(), 0);
    (house, hosts, ends)
}

fn pass(house: &mut House, ns: u64) {
    let until = house.world.now().plus_nanos(ns);
    house.world.run_until(until).expect("no deadlock");
}

/// One more get, with a key; how it ends, and after how many nanoseconds.
fn one_more(house: &mut House, key: u8) -> (Result<(), TransferError>, u64) {
    let begun = house.world.now();
    let connect = house.connect(&house.client, key);
    let errand = async move {
        let mut client = connect.await;
        get(&mut client, &MemStore::new()).await.map(|_| ())
    };
    let got = house.world.block_on(errand).expect("an end");
    (got, house.world.now().nanos_since(begun))
}

fn is_busy(got: &Result<(), TransferError>) -> bool {
    got.as_ref()
        .is_err_and(|error| Exit::from(error) == Exit::Busy)
}

#[test]
fn killed_gets_make_room_for_the_next_of_the_same_key_and_for_no_other() {
    let (mut house, hosts, _) = full();
    for host in &hosts {
        host.kill();
    }
    let (got, took_ns) = one_more(&mut house, CLIENT_KEY + 1);
    assert!(is_busy(&got), "{got:?}");
    assert!(took_ns < SECOND_NS, "{took_ns}");
    // Long before the killed ones' connections have timed out.
    let begun = house.world.now();
    for _ in 0..3 {
        let (got, took_ns) = one_more(&mut house, CLIENT_KEY);
        got.expect("a place");
        // 2 s for the file itself.
        assert!(took_ns < 6 * SECOND_NS, "{took_ns}");
    }
    assert!(house.world.now().nanos_since(begun) < 12 * SECOND_NS);
    // One place was made, and used three times.
    assert_eq!(house.server.pool().free(), 1);
}

#[test]
fn gets_that_are_alive_are_not_robbed_by_their_own_key() {
    let (mut house, _hosts, ends) = full();
    let (got, took_ns) = one_more(&mut house, CLIENT_KEY);
    assert!(is_busy(&got), "{got:?}");
    assert!(took_ns < SECOND_NS, "soon known to be alive: {took_ns}");
    pass(&mut house, 60 * SECOND_NS);
    let ends = ends.lock().expect("no panic");
    assert_eq!(ends.len(), usize::from(PORTS));
    for end in &*ends {
        assert!(end.is_ok(), "{end:?}");
    }
    assert_eq!(house.server.pool().free(), usize::from(PORTS));
}

#[test]
fn a_server_that_is_started_again_is_heard_of_by_its_clients_at_once() {
    for seed in 0..20 {
        for is_put in [false, true] {
            let mut house = House::new(NETWORK, seed);
            let (connect, ends) = (house.connect(&house.client, CLIENT_KEY), Ends::default());
            let (told, contents) = (Arc::clone(&ends), noise(seed, 2 * FILE_BYTES));
            house
                .files
                .insert(&Name::parse(FILE).expect("a name"), contents.clone());
            house.client.spawn(async move {
                let mut client = connect.await;
                let end = if is_put {
                    client
                        .put(MemStore::source(contents), "new", true, &())
                        .await
                } else {
                    get(&mut client, &MemStore::new()).await
                };
                told.lock().expect("no panic").push(end.map(|_| ()));
            });
            pass(&mut house, SECOND_NS);
            house.place.kill();
            house.place.restart();
            let mut config = ServerConfig::default();
            config.data_ports = DataPorts::List(vec![house.data_port]);
            config.transport.identity = Some(identity(SERVER_KEY));
            (house.server, _) = serve(&house.place, config, &house.files);
            // 300 ms of silence, a round trip, and what was under way already.
            pass(&mut house, SECOND_NS / 2);
            let ends = ends.lock().expect("no panic");
            assert!(
                matches!(&ends[..], [Err(TransferError::Lost(LinkError::WentAway))]),
                "seed {seed}, put: {is_put}: {ends:?}"
            );
        }
    }
}
