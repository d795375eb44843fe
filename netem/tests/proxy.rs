//! The proxy between real sockets, as a library and as a program.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test in real time, which should say so when it cannot go on"
)]

use std::{
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    process::{Command, Output},
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

/// Between whoever sends to it and this server.
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
    // Gone, without a word to whoever sends there.
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

fn netem(args: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netem"));
    command.args(args.split_whitespace()).output().unwrap()
}

fn fails(args: &str, code: i32, word: &str) {
    let output = netem(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args}: {said}");
    assert!(said.contains(word), "{args}: {said}");
}

#[test]
fn the_program_runs_for_a_while_and_reports() {
    let file = std::env::temp_dir().join(format!("netem-packets-{}.csv", std::process::id()));
    let path = file.to_str().unwrap();
    let output = netem(&format!(
        "proxy --listen 127.0.0.1:0 --to 127.0.0.1:9 --set delay=1ms --duration 100ms --json \
         --packets {path}"
    ));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["valid"], true);
    assert_eq!(report["forward"]["packets_in"], 0);
    let written = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(written.starts_with("t_ns,left_ns,direction,"), "{written}");

    let listen = "proxy --listen 127.0.0.1:0 --to 127.0.0.1:9 --duration 10ms";
    let output = netem(&format!("{listen} --set loss=1%"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("valid: no packet came through"), "{said}");
}

#[test]
fn each_kind_of_failure_has_its_exit_code_and_says_what_is_wrong() {
    let pair = "proxy --listen 127.0.0.1:0 --to 127.0.0.1:9";
    fails("proxy --set loss=1%", 2, "--listen");
    fails(pair, 2, "--profile");
    fails(
        &format!("{pair} --to 127.0.0.1:8 --set loss=1%"),
        2,
        "needs its server",
    );
    fails(&format!("{pair} --set loss=120%"), 3, "0% to 100%");
    fails(
        &format!("{pair} --profile /no/such/file"),
        3,
        "/no/such/file",
    );
    fails(
        "proxy --listen 192.0.2.1:5 --to 127.0.0.1:9 --set loss=1%",
        4,
        "192.0.2.1:5",
    );
    fails(
        &format!("{pair} --set loss=1% --packets /no/such/dir/x"),
        5,
        "/no/such/dir/x",
    );
}
