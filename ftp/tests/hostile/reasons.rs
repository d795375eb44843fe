//! The reason for which a connection ended is the first one, however much time passes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use lftp_ftp::{Client, ClientConfig, DEFAULT_PORT, Exit};
use lftp_netem::profile::NetworkProfile;
use lftp_netem::world::{Host, World, WorldConfig};
use lftp_transport::{
    Config, ConnectionError, ReadError, Refusal, Runtime, Stream, VirtualRuntime, WriteError,
};

use crate::against_client::Server;
use crate::dice::Dice;
use crate::peer::{Port, Tally};
use crate::wire;

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));

/// Longer than every timeout of a connection.
const LATER: Duration = Duration::from_secs(300);

/// Frames with which a server ends a connection, what the transport makes of it, and what a user.
struct Ending {
    frames: Vec<u8>,
    reason: ConnectionError,
    exit: Exit,
    sentence: &'static str,
}

fn reset(code: u64) -> Vec<u8> {
    wire::numbers(0x06, &[code])
}

fn endings() -> Vec<Ending> {
    let ending = |frames, reason, exit, sentence| Ending {
        frames,
        reason,
        exit,
        sentence,
    };
    let reset_by = |reason| ConnectionError::Reset { reason };
    let violation = |frames, what| {
        let reason = ConnectionError::Protocol(what);
        ending(
            frames,
            reason,
            Exit::Protocol,
            "the peer broke the protocol",
        )
    };
    vec![
        violation(vec![0x7f], "a frame could not be read"),
        violation(
            wire::acked(1 << 40),
            "an acknowledgement of what was never sent",
        ),
        violation(
            wire::stream(1 << 50, b"x", false),
            "data beyond the receive window",
        ),
        ending(
            reset(0),
            reset_by(0),
            Exit::Lost,
            "the peer closed the connection",
        ),
        ending(reset(0x10e), reset_by(0x10e), Exit::Server, "being stopped"),
        ending(
            reset(u64::from(u32::MAX)),
            reset_by(u32::MAX),
            Exit::Protocol,
            "this side broke the protocol",
        ),
        ending(
            reset(0xffff_fffe),
            ConnectionError::Refused(Refusal::UntrustedKey),
            Exit::NotAdmitted,
            "does not know this client's key",
        ),
        ending(
            reset(0xffff_fffd),
            ConnectionError::Refused(Refusal::ListenLimit),
            Exit::Busy,
            "too many connections",
        ),
    ]
}

/// A world with a server that ends connections in this way; returns a host for a client too.
fn world(frames: Vec<u8>) -> (World, Host) {
    let network = NetworkProfile::from_toml_str("delay = \"2ms\"").unwrap();
    let mut world = World::with_config(&WorldConfig::new(&network, 1));
    let host = world.add_server(SERVER).unwrap();
    let client = world.add_client(Ipv4Addr::new(10, 0, 2, 1).into()).unwrap();
    let port = Port::open(&host, DEFAULT_PORT, &Arc::new(Mutex::new(Tally::default())));
    host.spawn(Server::ending(port, Dice::new(1), frames).run());
    (world, client)
}

async fn connect(runtime: &Arc<dyn Runtime>) -> Stream {
    let addr = SocketAddr::new(SERVER, DEFAULT_PORT);
    let stream = Stream::connect(Arc::clone(runtime), addr, Config::default()).await;
    stream.expect("a server that answers")
}

/// Reads and writes until the connection is over; returns the reasons that both give.
async fn reasons(stream: &mut Stream) -> (ConnectionError, ConnectionError) {
    let read = loop {
        match stream.read_chunk(1 << 16).await {
            Ok(Some(_)) => {}
            Err(ReadError::Connection(error)) => break error,
            other => panic!("{other:?}"),
        }
    };
    match stream.write_bytes(Bytes::from_static(b"x")).await {
        Err(WriteError::Connection(error)) => (read, error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_reason_of_an_end_is_the_same_minutes_later() {
    for ending in endings() {
        let (mut world, host) = world(ending.frames);
        let runtime: Arc<dyn Runtime> = VirtualRuntime::new(host);
        let both = world.block_on(async {
            let mut stream = connect(&runtime).await;
            let message = Bytes::from_static(b"\0\0\0\x02{}");
            stream.write_bytes(message).await.expect("a connection");
            let first = reasons(&mut stream).await;
            lftp_transport::sleep(&*runtime, LATER).await;
            (first, reasons(&mut stream).await)
        });
        let expected = (ending.reason, ending.reason);
        assert_eq!(both.expect("an end"), (expected, expected));
    }
}

#[test]
fn a_connection_that_this_side_reset_was_closed_on_this_side() {
    let (mut world, host) = world(vec![0x01]);
    let runtime: Arc<dyn Runtime> = VirtualRuntime::new(host);
    let both = world.block_on(async {
        let mut stream = connect(&runtime).await;
        stream.reset(7);
        let first = reasons(&mut stream).await;
        lftp_transport::sleep(&*runtime, LATER).await;
        (first, reasons(&mut stream).await)
    });
    let closed = (ConnectionError::Closed, ConnectionError::Closed);
    assert_eq!(both.expect("an end"), (closed, closed));
}

#[test]
fn the_user_reads_why_the_server_ended_a_connection() {
    for ending in endings() {
        let (mut world, host) = world(ending.frames);
        let runtime: Arc<dyn Runtime> = VirtualRuntime::new(host);
        let asked = world.block_on(async {
            let addr = SocketAddr::new(SERVER, DEFAULT_PORT);
            let client = Client::connect(runtime, addr, ClientConfig::default()).await;
            client.expect("a server that answers").ls("").await
        });
        let error = asked.expect("an end").expect_err("no listing");
        assert_eq!(Exit::from(&error), ending.exit, "{error}");
        assert!(error.to_string().contains(ending.sentence), "{error}");
    }
}
