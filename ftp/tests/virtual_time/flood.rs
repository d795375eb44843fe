//! A flood of forged SYNs while an honest client sends a file.
//!
//! The flood comes from hosts on the server's side, past the link: it is meant to fill the
//! server's tables, not the client's link. Processor time is not modelled; what one SYN costs in
//! real time is another question.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use lftp_netem::world::{Host, Socket};
use lftp_transport::proto::Endpoint;
use lftp_transport::{Config, EndpointMetrics, Time};

use super::fixture::{Fixture, Operation, noise};

/// 100 Mbit/s, 40 ms and a little loss: an ordinary client's path.
const NETWORK: &str = "rate = \"100mbit\"\ndelay = \"20ms\"\nloss = \"1%\"";

const FILE_BYTES: usize = 16 << 20;

/// 100,000 a second.
const SYN_EVERY_NS: u64 = 10_000;

/// Source addresses. The SYNs differ as well, so that none is a retransmission of another.
const ADDRESSES: u32 = 4_096;

const SYNS: usize = 509;

/// Duration of the flood before the client connects.
const HEAD_START_NS: u64 = 500_000_000;

/// Bytes from and to one source address.
#[derive(Clone, Default)]
struct Traffic {
    sent_bytes: u64,
    received_bytes: u64,
}

/// The effect of a flood.
#[derive(Default)]
struct Accounting {
    syns: u64,
    sources: Vec<Traffic>,
    /// The most of each that the server ever held.
    peak: EndpointMetrics,
    is_over: bool,
}

/// SYNs of clients that never complete the handshake.
fn forged() -> Vec<Vec<u8>> {
    let mut state: u64 = 0;
    let random = move |bytes: &mut [u8]| {
        for byte in bytes {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
    };
    let mut endpoint = Endpoint::new(Arc::new(Config::default()), Box::new(random));
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let syns = (0..SYNS).map(|_| {
        let mut syn = Vec::new();
        endpoint.connect(Time::ZERO, anywhere);
        let outgoing = endpoint.poll_transmit(Time::ZERO, 1, &mut syn);
        assert!(outgoing.is_some_and(|outgoing| outgoing.segment_bytes == syn.len()));
        syn
    });
    syns.collect()
}

/// Receives everything queued at `socket`; returns the number of bytes.
fn receive_all(socket: &Socket) -> u64 {
    let (mut payload, mut bytes) = (Vec::new(), 0);
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Ok(_)) = socket.poll_recv(&mut cx, &mut payload) {
        bytes += payload.len() as u64;
    }
    bytes
}

fn open_sources(fixture: &mut Fixture) -> Vec<(Host, Socket)> {
    let first = u32::from(Ipv4Addr::new(10, 64, 0, 1));
    let open = |number| {
        let ip = IpAddr::from(Ipv4Addr::from(first + number));
        let host = fixture.world.add_server(ip).expect("an address");
        let socket = host.bind(SocketAddr::new(ip, 0)).expect("a port");
        (host, socket)
    };
    (0..ADDRESSES).map(open).collect()
}

/// Starts a flood at the server's two ports.
fn flood(fixture: &mut Fixture) -> Arc<Mutex<Accounting>> {
    let sources = open_sources(fixture);
    let forged = forged();
    let ports = [fixture.addr.port(), fixture.data_port];
    let (server, ip) = (fixture.server.clone(), fixture.addr.ip());
    let accounting = Arc::new(Mutex::new(Accounting {
        sources: vec![Traffic::default(); sources.len()],
        ..Accounting::default()
    }));
    let shared = Arc::clone(&accounting);
    let host = sources[0].0.clone();
    let clock = host.clone();
    host.spawn(async move {
        let mut next = clock.now();
        for number in 0.. {
            let index = number % sources.len();
            let syn = &forged[number % forged.len()];
            let to = SocketAddr::new(ip, ports[number / sources.len() % 2]);
            let socket = &sources[index].1;
            socket.try_send(to, 0, syn, None).expect("a way there");
            next = next.plus_nanos(SYN_EVERY_NS);
            clock.timer(next).await;
            let mut accounting = shared.lock().expect("no panic elsewhere");
            accounting.syns += 1;
            accounting.sources[index].sent_bytes += syn.len() as u64;
            accounting.sources[index].received_bytes += receive_all(socket);
            let load = server.load();
            let peak = &mut accounting.peak;
            peak.connections = peak.connections.max(load.connections);
            peak.half_open = peak.half_open.max(load.half_open);
            peak.replies = peak.replies.max(load.replies);
            if accounting.is_over {
                break;
            }
        }
        // Until the last half-open handshake has expired.
        clock.sleep_ns(60_000_000_000).await;
        let mut accounting = shared.lock().expect("no panic elsewhere");
        for (traffic, (_, socket)) in accounting.sources.iter_mut().zip(&sources) {
            traffic.received_bytes += receive_all(socket);
        }
    });
    accounting
}

/// Nanoseconds from the request to the server's confirmation.
fn duration_ns(fixture: &mut Fixture) -> u64 {
    let receipts = fixture.transfer(&noise(1, FILE_BYTES), &[Operation::Put]);
    receipts[0].duration_ns
}

#[test]
fn a_flood_of_forged_syns_hardly_slows_an_honest_client() {
    let mbit = |ns: u64| (FILE_BYTES as u64 * 8) as f64 * 1e3 / ns as f64;
    let quiet = mbit(duration_ns(&mut Fixture::new(NETWORK, 7)));

    let mut fixture = Fixture::new(NETWORK, 7);
    let accounting = flood(&mut fixture);
    let until = fixture.world.now().plus_nanos(HEAD_START_NS);
    fixture.world.run_until(until).expect("no deadlock");
    let flooded = mbit(duration_ns(&mut fixture));
    accounting.lock().expect("no panic").is_over = true;
    let after = fixture.world.now().plus_nanos(120_000_000_000);
    fixture.world.run_until(after).expect("no deadlock");

    let accounting = accounting.lock().expect("no panic");
    let sum = |bytes: fn(&Traffic) -> u64| accounting.sources.iter().map(bytes).sum::<u64>();
    let (sent, received) = (sum(|it| it.sent_bytes), sum(|it| it.received_bytes));
    let worst = accounting
        .sources
        .iter()
        .map(|it| it.received_bytes as f64 / it.sent_bytes as f64)
        .fold(0.0, f64::max);
    println!(
        "{} forged SYNs from {ADDRESSES} addresses; goodput {quiet:.1} Mbit/s without, \
         {flooded:.1} with; at most {} half-open, {} connections, {} replies waiting; \
         the sources sent {sent} B and received {received} B, one at most {worst:.2} times what it sent",
        accounting.syns,
        accounting.peak.half_open,
        accounting.peak.connections,
        accounting.peak.replies,
    );
    assert!(accounting.syns > 100_000, "{}", accounting.syns);
    assert!(flooded >= 0.8 * quiet, "{flooded} against {quiet}");
    // On each of two ports, with the client's own.
    let config = Config::default();
    assert!(accounting.peak.half_open <= 2 * (config.cookie_threshold + 1));
    assert!(
        accounting.peak.half_open >= config.cookie_threshold,
        "no flood"
    );
    assert!(
        accounting.peak.connections <= 2,
        "{}",
        accounting.peak.connections
    );
    for traffic in &accounting.sources {
        assert!(traffic.received_bytes <= 3 * traffic.sent_bytes);
    }
    assert!(received > 0, "no SYN was answered");
    let left = fixture.server.load();
    assert_eq!((left.half_open, left.connections), (0, 0));
}
