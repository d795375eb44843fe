//! A client that connects to a data port while its request is still in flight saves round trips;
//! where it guessed the wrong port, only the attempt is lost.

use lftp_ftp::{Client, ClientConfig, MemStore, ServerConfig, TransferError};

use lftp_transport::VirtualRuntime;

use super::fixture::{CLIENT_KEY, FILE, Fixture, Operation, identity, noise, serve};

const NETWORK: &str = "rate = '100mbit'\ndelay = '20ms'";
const ROUND_NS: u64 = 40_000_000;

fn config(likely: Vec<u16>, connect_data_early: bool) -> ClientConfig {
    let mut config = ClientConfig::default();
    config.transport.identity = Some(identity(CLIENT_KEY));
    config.likely_ports = Some(likely);
    config.connect_data_early = connect_data_early;
    config
}

/// Tenths of round trips from the request to the confirmation, one entry an operation.
fn rounds_of(fixture: &mut Fixture, config: ClientConfig, operations: [Operation; 3]) -> Vec<u64> {
    let (runtime, addr) = (VirtualRuntime::new(fixture.client.clone()), fixture.addr);
    let files = fixture.files.clone();
    let task = async move {
        let client = Client::connect(runtime, addr, config).await;
        let mut client = client.expect("a server that answers");
        let mut rounds = Vec::new();
        for operation in operations {
            let receipt = operation.run(&mut client, &files, &noise(1, 1000)).await;
            rounds.push(receipt.duration_ns * 10 / ROUND_NS);
        }
        client.close().await;
        rounds
    };
    let rounds = fixture.world.block_on(task).expect("an end");
    assert_eq!(fixture.server.pool().free(), 1);
    rounds
}

/// The same for a client that may request something other than a transfer first.
fn rounds(likely: impl FnOnce(&Fixture) -> Vec<u16>) -> Vec<u64> {
    let mut fixture = Fixture::new(NETWORK, 1);
    let config = config(likely(&fixture), false);
    rounds_of(
        &mut fixture,
        config,
        [Operation::Put, Operation::Get, Operation::Put],
    )
}

#[test]
fn a_right_guess_of_the_port_saves_a_round_trip_each_time() {
    assert_eq!(rounds(|fixture| vec![fixture.data_port]), [20, 20, 20]);
}

#[test]
fn a_client_that_connects_early_is_done_one_round_trip_after_the_handshake() {
    for operations in [
        [Operation::Put, Operation::Get, Operation::Put],
        [Operation::Get, Operation::Put, Operation::Get],
    ] {
        let mut fixture = Fixture::new(NETWORK, 1);
        let config = config(vec![fixture.data_port], true);
        assert_eq!(rounds_of(&mut fixture, config, operations), [10, 20, 20]);
    }
}

#[test]
fn a_client_that_guesses_no_port_sends_its_request_first() {
    assert_eq!(rounds(|_| Vec::new()), [30, 30, 30]);
}

#[test]
fn a_wrong_guess_of_the_port_costs_no_round_trip() {
    // A port without a listener, and the control port, which grants no transfers.
    assert_eq!(rounds(|_| vec![1]), [30, 30, 30]);
    assert_eq!(rounds(|fixture| vec![fixture.addr.port()]), [30, 30, 30]);
}

#[test]
fn a_client_that_guessed_the_port_of_another_server_sends_it_nothing() {
    let mut fixture = Fixture::new(NETWORK, 1);
    let mut other = ServerConfig::default();
    other.listen.set_port(fixture.addr.port() + 1);
    other.transport.identity = Some(identity(9));
    let (other, port) = serve(&fixture.server_host, other, &MemStore::new());
    let config = config(vec![port], true);
    let rounds = rounds_of(
        &mut fixture,
        config,
        [Operation::Put, Operation::Get, Operation::Put],
    );
    assert_eq!(rounds, [30, 30, 30]);
    assert_eq!(other.load().connections, 0);
}

#[test]
fn a_refusal_costs_an_early_client_only_its_connection() {
    let mut fixture = Fixture::new(NETWORK, 1);
    let config = config(vec![fixture.data_port], true);
    let (runtime, addr) = (VirtualRuntime::new(fixture.client.clone()), fixture.addr);
    let name = lftp_ftp::Name::parse(FILE).expect("a name");
    fixture.files.insert(&name, noise(1, 10));
    let files = fixture.files.clone();
    let task = async move {
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
        // The connection of the refused request is not reused for the next.
        Operation::Put
            .run(&mut client, &files, &noise(3, 1000))
            .await;
        client.close().await;
    };
    fixture.world.block_on(task).expect("an end");
    assert_eq!(fixture.server.pool().free(), 1);
}
