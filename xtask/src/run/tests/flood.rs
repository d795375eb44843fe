//! A flood of forged SYNs, and an honest client that sends a file meanwhile.
//!
//! The flood comes over a link of its own, from hosts on the server's side: it is to fill the
//! server's tables, not the client's link. Virtual time has no processor to wear out; what one
//! SYN costs in real time is another question.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use lftp_netem::world::{Host, Side, Socket};
use lftp_transport::proto::Endpoint;
use lftp_transport::{Config, Load, Time};

use super::house::{House, Way, noise};

/// 100 Mbit/s, 40 ms, and a little loss: what an honest client may well have.
const NETWORK: &str = "rate = \"100mbit\"\ndelay = \"20ms\"\nloss = \"1%\"";

const FILE_BYTES: usize = 16 << 20;

/// 100,000 a second.
const SYN_EVERY_NS: u64 = 10_000;

/// Addresses that they come from; the SYNs differ as well, so that none is another's repeat.
const ADDRESSES: u32 = 4_096;

const SYNS: usize = 509;

/// How long the flood has gone on when the client comes.
const AHEAD_NS: u64 = 500_000_000;

/// What an address has sent, and what came back.
#[derive(Clone, Default)]
struct Account {
    sent_bytes: u64,
    received_bytes: u64,
}

/// What became of a flood.
#[derive(Default)]
struct Books {
    syns: u64,
    accounts: Vec<Account>,
    /// The most of each that the server ever held.
    peak: Load,
    is_over: bool,
}

/// SYNs as strangers would send them.
fn forged() -> Vec<Vec<u8>> {
    let mut drawn: u64 = 0;
    let random = move |bytes: &mut [u8]| {
        for byte in bytes {
            drawn = drawn
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (drawn >> 56) as u8;
        }
    };
    let mut endpoint = Endpoint::new(Arc::new(Config::default()), Box::new(random));
    let somewhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let syns = (0..SYNS).map(|_| {
        let mut syn = Vec::new();
        endpoint.connect(Time::ZERO, somewhere);
        let outgoing = endpoint.poll_transmit(Time::ZERO, 1, &mut syn);
        assert!(outgoing.is_some_and(|outgoing| outgoing.segment_bytes == syn.len()));
        syn
    });
    syns.collect()
}

/// Takes what has come to an address; how many bytes.
fn take(socket: &Socket) -> u64 {
    let (mut payload, mut bytes) = (Vec::new(), 0);
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Ok(_)) = socket.poll_recv(&mut cx, &mut payload) {
        bytes += payload.len() as u64;
    }
    bytes
}

fn strangers(house: &mut House) -> Vec<(Host, Socket)> {
    let first = u32::from(Ipv4Addr::new(10, 64, 0, 1));
    let open = |number| {
        let ip = IpAddr::from(Ipv4Addr::from(first + number));
        let host = house.world.add_host(Side::Server, ip).expect("an address");
        let socket = host.bind(SocketAddr::new(ip, 0)).expect("a port");
        (host, socket)
    };
    (0..ADDRESSES).map(open).collect()
}

/// Begins a flood at the server's two ports.
fn flood(house: &mut House) -> Arc<Mutex<Books>> {
    let strangers = strangers(house);
    let forged = forged();
    let ports = [house.addr.port(), house.data_port];
    let (server, ip) = (house.server.clone(), house.addr.ip());
    let books = Arc::new(Mutex::new(Books {
        accounts: vec![Account::default(); strangers.len()],
        ..Books::default()
    }));
    let kept = Arc::clone(&books);
    let host = strangers[0].0.clone();
    let clock = host.clone();
    host.spawn(async move {
        let mut next = clock.now();
        for number in 0.. {
            let index = number % strangers.len();
            let syn = &forged[number % forged.len()];
            let to = SocketAddr::new(ip, ports[number / strangers.len() % 2]);
            let socket = &strangers[index].1;
            socket.try_send(to, 0, syn, None).expect("a way there");
            next = next.plus_nanos(SYN_EVERY_NS);
            clock.timer(next).await;
            let mut books = kept.lock().expect("no panic elsewhere");
            books.syns += 1;
            books.accounts[index].sent_bytes += syn.len() as u64;
            books.accounts[index].received_bytes += take(socket);
            let load = server.load();
            let peak = &mut books.peak;
            peak.connections = peak.connections.max(load.connections);
            peak.half_open = peak.half_open.max(load.half_open);
            peak.replies = peak.replies.max(load.replies);
            if books.is_over {
                break;
            }
        }
        // Until the last half-open handshake has expired.
        clock.sleep_ns(60_000_000_000).await;
        let mut books = kept.lock().expect("no panic elsewhere");
        for (account, (_, socket)) in books.accounts.iter_mut().zip(&strangers) {
            account.received_bytes += take(socket);
        }
    });
    books
}

/// Nanoseconds that the file takes, from the request to the server's word.
fn duration_ns(house: &mut House) -> u64 {
    let receipts = house.carry(&noise(1, FILE_BYTES), &[Way::Put]);
    receipts[0].duration_ns
}

#[test]
fn an_honest_client_hardly_feels_a_flood_of_forged_syns() {
    let mbit = |ns: u64| (FILE_BYTES as u64 * 8) as f64 * 1e3 / ns as f64;
    let quiet = mbit(duration_ns(&mut House::new(NETWORK, 7)));

    let mut house = House::new(NETWORK, 7);
    let books = flood(&mut house);
    let until = house.world.now().plus_nanos(AHEAD_NS);
    house.world.run_until(until).expect("no deadlock");
    let flooded = mbit(duration_ns(&mut house));
    books.lock().expect("no panic").is_over = true;
    let after = house.world.now().plus_nanos(120_000_000_000);
    house.world.run_until(after).expect("no deadlock");

    let books = books.lock().expect("no panic");
    let sum = |bytes: fn(&Account) -> u64| books.accounts.iter().map(bytes).sum::<u64>();
    let (sent, received) = (sum(|it| it.sent_bytes), sum(|it| it.received_bytes));
    let worst = books
        .accounts
        .iter()
        .map(|it| it.received_bytes as f64 / it.sent_bytes as f64)
        .fold(0.0, f64::max);
    println!(
        "{} forged SYNs from {ADDRESSES} addresses; goodput {quiet:.1} Mbit/s without, \
         {flooded:.1} with; at most {} half-open, {} connections, {} replies waiting; \
         strangers sent {sent} B and got {received} B, one at most {worst:.2} times what it sent",
        books.syns, books.peak.half_open, books.peak.connections, books.peak.replies,
    );
    assert!(books.syns > 100_000, "{}", books.syns);
    assert!(flooded >= 0.8 * quiet, "{flooded} against {quiet}");
    // On each of two ports, with the client's own.
    let config = Config::default();
    assert!(books.peak.half_open <= 2 * (config.cookie_threshold + 1));
    assert!(books.peak.half_open >= config.cookie_threshold, "no flood");
    assert!(books.peak.connections <= 2, "{}", books.peak.connections);
    for account in &books.accounts {
        assert!(account.received_bytes <= 3 * account.sent_bytes);
    }
    assert!(received > 0, "nobody was answered");
    let left = house.server.load();
    assert_eq!((left.half_open, left.connections), (0, 0));
}
