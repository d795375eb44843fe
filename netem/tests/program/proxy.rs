//! The proxy between real sockets, as a library. `reports.rs` tests it as a program.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test in real time, which should say so when it cannot go on"
)]

use std::{
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use lftp_netem::{
    profile::NetworkProfile,
    proxy::{Proxy, ProxyConfig},
};

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    socket
}

/// A read with a time limit may be interrupted at any time (signal(7)).
fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 100];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => return (buffer[..length].to_vec(), from),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A proxy between its clients and this server.
fn started(network: &str, server: &UdpSocket, settle: impl FnOnce(&mut ProxyConfig)) -> Proxy {
    let mut config = ProxyConfig::new(&NetworkProfile::from_toml_str(network).unwrap(), 1);
    config.listen = vec![("127.0.0.1:0".parse().unwrap(), server.local_addr().unwrap())];
    settle(&mut config);
    Proxy::start(config).unwrap()
}

#[test]
fn a_packet_goes_there_and_back_and_takes_its_time() {
    let (client, server) = (socket(), socket());
    let network = "delay = '20ms'\n[reverse]\ndelay = '10ms'";
    let proxy = started(network, &server, |_| {});

    let sent = Instant::now();
    client.send_to(b"there", proxy.listen_addrs()[0]).unwrap();
    let (there, from) = receive(&server);
    assert_eq!(there, b"there");
    server.send_to(b"back", from).unwrap();
    let (back, from) = receive(&client);
    assert_eq!(back, b"back");
    assert_eq!(from, proxy.listen_addrs()[0]);
    assert!(sent.elapsed() >= Duration::from_millis(30));

    let report = proxy.stop();
    assert_eq!((report.forward.delivered, report.reverse.delivered), (1, 1));
    assert_eq!(report.proxy.sent, 2);
}

#[test]
fn a_nat_that_forgets_gives_each_client_another_port() {
    let (client, server) = (socket(), socket());
    let proxy = started("delay = '1ms'", &server, |_| {});
    let (handle, through) = (proxy.handle(), proxy.listen_addrs()[0]);
    let sends = |what: &[u8]| {
        client.send_to(what, through).unwrap();
        receive(&server).1
    };

    assert_eq!(handle.rebind().unwrap(), 0, "there is no client yet");
    let before = sends(b"one");
    assert_eq!(sends(b"two"), before);
    assert_eq!(handle.rebind().unwrap(), 1);
    // Dropped, without an error to the sender.
    server.send_to(b"to the old port", before).unwrap();
    let after = sends(b"three");
    assert_ne!(after, before);
    server.send_to(b"to the new port", after).unwrap();
    assert_eq!(receive(&client).0, b"to the new port");

    let report = proxy.stop();
    assert_eq!((report.proxy.flows, report.proxy.rebound), (1, 1));
    assert_eq!(report.reverse.delivered, 1);
}

#[test]
fn a_nat_may_forget_every_so_often() {
    let (client, server) = (socket(), socket());
    let proxy = started("delay = '1ms'", &server, |config| {
        config.rebind_every = Some(Duration::from_millis(50));
    });
    let mut ports = std::collections::BTreeSet::new();
    while ports.len() < 4 {
        client.send_to(b"again", proxy.listen_addrs()[0]).unwrap();
        ports.insert(receive(&server).1);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(proxy.stop().proxy.rebound >= 3);
}
