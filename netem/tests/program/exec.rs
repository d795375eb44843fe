//! `netem exec`: programs that know nothing of it, TCP's among them, behind a network.
//!
//! Where the system allows no namespaces or no TUN device, the tests say so and do nothing.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test in real time, which should say so when it cannot go on"
)]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Output},
    time::{Duration, Instant},
};

/// Exit code: the system does not allow it.
const NOT_ALLOWED: i32 = 125;
const PORT: u16 = 5001;

/// `netem exec ARGS -- COMMAND`; `None` with a word on it where the system does not allow it.
fn exec(args: &[&str], command: &[&str]) -> Option<Output> {
    let output = Command::new(env!("CARGO_BIN_EXE_netem"))
        .arg("exec")
        .args(args)
        .arg("--")
        .args(command)
        .env("NETEM_TEST_ROLE", "client")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let forbidden = ["the system allows no", "must be root"];
    if output.status.code() == Some(NOT_ALLOWED) && forbidden.iter().any(|why| said.contains(why)) {
        eprintln!("skipped: {said}");
        return None;
    }
    Some(output)
}

/// This very test program, which is also what is run behind the network.
fn myself() -> String {
    std::env::current_exe()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

/// The name of a test of this file, as the test program knows it.
fn full_name(test: &str) -> String {
    let path = module_path!();
    let module = path.split_once("::").map_or(path, |(_, module)| module);
    format!("{module}::{test}")
}

/// As a peer, for a shell: the test `name` of this program in another role.
fn peer(name: &str) -> String {
    format!(
        "NETEM_TEST_ROLE=server exec '{}' --exact {} --nocapture",
        myself(),
        full_name(name)
    )
}

/// The part of a test that this process plays: the test itself, or a program behind the network.
fn role() -> Option<String> {
    std::env::var("NETEM_TEST_ROLE").ok()
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("netem-exec-{}-{name}", std::process::id()))
}

fn report(path: &PathBuf) -> serde_json::Value {
    let report = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    std::fs::remove_file(path).unwrap();
    report
}

/// Two ends of a TCP connection: what is sent comes back, after at least a round trip, and the
/// link has seen all of it.
#[test]
fn tcp_goes_through_and_takes_its_time() {
    const BYTES: usize = 200_000;
    match role().as_deref() {
        Some("server") => {
            let (mut stream, _) = TcpListener::bind(("0.0.0.0", PORT))
                .unwrap()
                .accept()
                .unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            stream.write_all(&all).unwrap();
            return;
        }
        Some(_) => {
            let server = std::env::var("NETEM_SERVER").unwrap();
            let started = Instant::now();
            let mut stream = TcpStream::connect((server, PORT)).unwrap();
            assert!(
                started.elapsed() >= Duration::from_millis(20),
                "no round trip"
            );
            let sent: Vec<u8> = (0..BYTES).map(|index| (index % 251) as u8).collect();
            stream.write_all(&sent).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut back = Vec::new();
            stream.read_to_end(&mut back).unwrap();
            assert!(back == sent, "{} bytes came back", back.len());
            return;
        }
        None => {}
    }
    let path = file("tcp");
    let name = "tcp_goes_through_and_takes_its_time";
    let set = ["--set", "rate=50mbit", "--set", "delay=10ms", "--quiet"];
    let also = ["--report", path.to_str().unwrap(), "--peer", &peer(name)];
    let command = [&myself(), "--exact", &full_name(name), "--nocapture"];
    let Some(output) = exec(&[&set[..], &also].concat(), &command) else {
        return;
    };
    // 6: the machine was too busy for the numbers to count, but everything was transferred.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 6)), "{said}");
    let report = report(&path);
    for direction in ["forward", "reverse"] {
        let bytes = report[direction]["bytes_delivered"].as_u64().unwrap();
        assert!(bytes as usize > BYTES, "{direction}: {bytes}");
    }
}

#[test]
fn it_ends_as_the_command_does() {
    let peer = peer("a_peer_that_only_listens");
    let args = ["--set", "delay=1ms", "--quiet", "--peer", &peer];
    for (command, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 3"], 3),
        (&["sh", "-c", "kill -9 $$"], 128 + 9),
        (&["/no/such/program"], 127),
        (&["/"], 126),
    ] {
        let Some(output) = exec(&args, command) else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
    }
}

/// For [`it_ends_as_the_command_does`]: listens until it is ended.
#[test]
fn a_peer_that_only_listens() {
    if role().as_deref() == Some("server") {
        let listener = TcpListener::bind(("0.0.0.0", PORT)).unwrap();
        for stream in listener.incoming() {
            drop(stream);
        }
    }
}

#[test]
fn a_peer_that_ends_at_once_is_told_of() {
    let args = ["--set", "delay=1ms", "--peer", "exit 4"];
    if let Some(output) = exec(&args, &["true"]) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(NOT_ALLOWED), "{said}");
        assert!(said.contains("the peer ended (exit status: 4)"), "{said}");
    }
}

#[test]
fn the_command_sees_nothing_but_its_network() {
    let args = ["--set", "delay=1ms", "--quiet", "--addresses", "10.78.0.0"];
    let peer = peer("a_peer_that_only_listens");
    let command = [
        "sh",
        "-c",
        "cat /proc/net/dev; echo $NETEM_CLIENT $NETEM_SERVER; echo $NETEM_NEAR $NETEM_FAR",
    ];
    let Some(output) = exec(&[&args[..], &["--peer", &peer]].concat(), &command) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let mut names: Vec<&str> = said
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim()))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["lo", "netem0"], "{said}");
    assert!(said.ends_with(&"10.78.0.1 10.78.0.2\n".repeat(2)), "{said}");
}
