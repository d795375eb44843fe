//! A client that comes to a data port while it still asks saves a round trip, and where it came
//! to the wrong one nothing is lost but the attempt.

use lftp_ftp::{Client, ClientConfig};

use super::house::{CLIENT_KEY, House, Way, identity, noise};
use crate::run::VirtualRuntime;

const NETWORK: &str = "rate = '100mbit'\ndelay = '20ms'";
const ROUND_NS: u64 = 40_000_000;

/// Round trips from the request to the word that the file is whole, in tenths, one for each way.
fn rounds(likely: impl FnOnce(&House) -> Vec<u16>) -> Vec<u64> {
    let mut house = House::new(NETWORK, 1);
    let mut config = ClientConfig::default();
    config.transport.identity = Some(identity(CLIENT_KEY));
    config.likely_ports = Some(likely(&house));
    let (runtime, addr) = (VirtualRuntime::shared(house.client.clone()), house.addr);
    let files = house.files.clone();
    let errand = async move {
        let client = Client::connect(runtime, addr, config).await;
        let mut client = client.expect("a server that answers");
        let mut rounds = Vec::new();
        for way in [Way::Put, Way::Get, Way::Put] {
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

#[test]
fn a_client_at_the_right_port_saves_a_round_trip_each_time() {
    assert_eq!(rounds(|house| vec![house.data_port]), [20, 20, 20]);
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
