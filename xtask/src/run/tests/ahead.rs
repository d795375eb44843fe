//! A client that comes to a data port while it still asks saves round trips, and where it came
//! to the wrong one nothing is lost but the attempt.

use lftp_ftp::{Client, ClientConfig, MemStore, ServerConfig, TransferError};

use super::house::{CLIENT_KEY, FILE, House, Way, identity, noise, serve};
use crate::run::VirtualRuntime;

const NETWORK: &str = "rate = '100mbit'\ndelay = '20ms'";
const ROUND_NS: u64 = 40_000_000;

fn config(likely: Vec<u16>, transfers_at_once: bool) -> ClientConfig {
    let mut config = ClientConfig::default();
    config.transport.identity = Some(identity(CLIENT_KEY));
    config.likely_ports = Some(likely);
    config.transfers_at_once = transfers_at_once;
    config
}

/// Round trips from the request to the word that the file is whole, in tenths, one for each way.
fn rounds_of(house: &mut House, config: ClientConfig, ways: [Way; 3]) -> Vec<u64> {
    let (runtime, addr) = (VirtualRuntime::shared(house.client.clone()), house.addr);
    let files = house.files.clone();
    let errand = async move {
        let client = Client::connect(runtime, addr, config).await;
        let mut client = client.expect("a server that answers");
        let mut rounds = Vec::new();
        for way in ways {
            let receipt = way.go(&mut client, &files, &noise(1, 1000)).await;
            rounds.push(receipt.duration_ns * 10 / ROUND_NS);
        }
        client.close().await;
        rounds
    };
    let rounds = house.world.block_on(errand).expect("an end");
    assert_eq!(house.server.pool().free(), 1);
    rounds
}

/// The same for a client that asks for other things first.
fn rounds(likely: impl FnOnce(&House) -> Vec<u16>) -> Vec<u64> {
    let mut house = House::new(NETWORK, 1);
    let config = config(likely(&house), false);
    rounds_of(&mut house, config, [Way::Put, Way::Get, Way::Put])
}

#[test]
fn a_client_at_the_right_port_saves_a_round_trip_each_time() {
    assert_eq!(rounds(|house| vec![house.data_port]), [20, 20, 20]);
}

#[test]
fn a_client_that_comes_for_a_transfer_has_it_a_round_trip_after_the_handshake() {
    for ways in [
        [Way::Put, Way::Get, Way::Put],
        [Way::Get, Way::Put, Way::Get],
    ] {
        let mut house = House::new(NETWORK, 1);
        let config = config(vec![house.data_port], true);
        assert_eq!(rounds_of(&mut house, config, ways), [10, 20, 20]);
    }
}

#[test]
fn a_client_that_knows_no_port_asks_first() {
    assert_eq!(rounds(|_| Vec::new()), [30, 30, 30]);
}

#[test]
fn a_client_at_the_wrong_port_goes_to_the_right_one() {
    // Nobody there, and somebody who is not asked for: the control port.
    assert_eq!(rounds(|_| vec![1]), [30, 30, 30]);
    assert_eq!(rounds(|house| vec![house.addr.port()]), [30, 30, 30]);
}

#[test]
fn a_client_that_came_to_another_server_tells_it_nothing() {
    let mut house = House::new(NETWORK, 1);
    let mut other = ServerConfig::default();
    other.listen.set_port(house.addr.port() + 1);
    other.transport.identity = Some(identity(9));
    let (other, port) = serve(&house.place, other, &MemStore::new());
    let config = config(vec![port], true);
    let rounds = rounds_of(&mut house, config, [Way::Put, Way::Get, Way::Put]);
    assert_eq!(rounds, [30, 30, 30]);
    assert_eq!(other.load().connections, 0);
}

#[test]
fn what_is_refused_costs_the_client_that_came_ahead_nothing_more() {
    let mut house = House::new(NETWORK, 1);
    let config = config(vec![house.data_port], true);
    let (runtime, addr) = (VirtualRuntime::shared(house.client.clone()), house.addr);
    let name = lftp_ftp::Name::parse(FILE).expect("a name");
    house.files.insert(&name, noise(1, 10));
    let files = house.files.clone();
    let errand = async move {
        let client = Client::connect(runtime, addr, config).await;
        let mut client = client.expect("a server that answers");
        let refused = client
            .put(MemStore::source(noise(2, 1000)), FILE, false, &())
            .await;
        assert!(
            matches!(refused, Err(TransferError::Request(_))),
            "{refused:?}"
        );
        assert!(files.holds(&name, &noise(1, 10)));
        // The connection of the one that was refused is not taken for the next.
        Way::Put.go(&mut client, &files, &noise(3, 1000)).await;
        client.close().await;
    };
    house.world.block_on(errand).expect("an end");
    assert_eq!(house.server.pool().free(), 1);
}
