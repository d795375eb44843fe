//! Control over HTTP of a running `netem proxy`, asked as any program would.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

/// A proxy that is stopped with the test.
struct Proxy {
    child: Child,
    listen: SocketAddr,
    control: SocketAddr,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(to: SocketAddr, network: &str) -> Proxy {
    let mut child = Command::new(env!("CARGO_BIN_EXE_netem"))
        .args(["proxy", "--listen", "127.0.0.1:0", "--to", &to.to_string()])
        .args(["--control", "127.0.0.1:0", "--set", network])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut field = |before: &str, after: &str| {
        let line = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.starts_with(before))
            .unwrap_or_else(|| panic!("{before}"));
        let rest = line.strip_prefix(before).unwrap();
        rest.split(after).next().unwrap().parse().unwrap()
    };
    Proxy {
        listen: field("listening on ", ","),
        control: field("control at http://", "/"),
        child,
    }
}

/// Status and body of the answer.
fn ask(proxy: &Proxy, request: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(proxy.control).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let length = body.len();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n\
         {headers}\r\n{body}",
        proxy.control
    );
    stream.write_all(text.as_bytes()).unwrap();
    answer(stream)
}

fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    (
        status.unwrap_or_else(|| panic!("{answer:?}")),
        body.to_owned(),
    )
}

#[test]
fn a_running_link_is_asked_and_changed() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let proxy = start(server.local_addr().unwrap(), "loss=100%");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let status = || -> serde_json::Value {
        let (code, body) = ask(&proxy, "GET /status", "", "");
        assert_eq!(code, 200);
        serde_json::from_str(&body).unwrap()
    };

    client.send_to(b"lost", proxy.listen).unwrap();
    while status()["forward"]["lost_wire"] == 0 {}
    let (code, body) = ask(&proxy, "PATCH /profile", "", "loss=0%\ndelay=1ms");
    assert_eq!((code, body.contains("1ms")), (200, true), "{body}");
    client.send_to(b"through", proxy.listen).unwrap();
    let mut buffer = [0; 100];
    let length = server.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"through");
    let report = status();
    assert_eq!(report["forward"]["packets_in"], 2);
    assert_eq!(report["forward"]["delivered"], 1);
    assert_eq!(report["proxy"]["flows"], 1);

    assert_eq!(ask(&proxy, "PUT /profile", "", "lte").0, 200);
    let json = ask(&proxy, "GET /profile", "Accept: application/json\r\n", "");
    let profile: serde_json::Value = serde_json::from_str(&json.1).unwrap();
    assert_eq!(profile["rate"], "12mbit");
    let (_, metrics) = ask(&proxy, "GET /metrics", "", "");
    assert!(
        metrics.contains("netem_lost_wire_total{direction=\"forward\"} 1"),
        "{metrics}"
    );
    let (code, said) = ask(&proxy, "POST /rebind", "", "");
    assert_eq!((code, said.trim()), (200, "{\"rebound\":1}"));
}

#[test]
fn what_cannot_be_is_refused_in_words_and_changes_nothing() {
    let proxy = start("127.0.0.1:9".parse().unwrap(), "delay=7ms");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let long = "x".repeat(100_000);
    for (request, headers, body, code, word) in [
        ("PATCH /profile", "", "loss=120%", 400, "100%"),
        ("PATCH /profile", form, "lose=1%", 400, "unknown field"),
        ("PUT /profile", "", "delay = 5", 400, "no unit"),
        (
            "PUT /profile",
            "Content-Type: application/json\r\n",
            "{",
            400,
            "no JSON",
        ),
        ("GET /nothing", "", "", 404, "/status"),
        ("DELETE /profile", "", "", 405, "PUT"),
        ("POST /status", "", "", 405, "PUT"),
        ("GET /rebind", "", "", 405, "POST"),
        (
            "PATCH /profile",
            "Origin: http://example.org\r\n",
            "loss=1%",
            403,
            "web pages",
        ),
        ("GET /status", &format!("X: {long}\r\n"), "", 431, ""),
    ] {
        let (got, said) = ask(&proxy, request, headers, body);
        assert_eq!(got, code, "{request} {body}: {said}");
        assert!(said.contains(word), "{request} {body}: {said}");
    }

    // Too long a body is refused before it is sent.
    let mut stream = TcpStream::connect(proxy.control).unwrap();
    let head = "PUT /profile HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Length: 99999999\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(answer(stream).0, 413);
    let mut stream = TcpStream::connect(proxy.control).unwrap();
    let head = "GET /profile HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(answer(stream).0, 403);

    let (_, profile) = ask(&proxy, "GET /profile", "", "");
    assert_eq!(profile.trim(), "delay = \"7ms\"");
}

#[test]
fn control_is_for_this_machine_unless_asked_otherwise() {
    let args = "proxy --listen 127.0.0.1:0 --to 127.0.0.1:9 --set loss=1% --duration 10ms";
    let netem = |more: &str| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netem"));
        let words = args.split(' ').chain(more.split(' '));
        command.args(words).output().unwrap()
    };
    let refused = netem("--control 0.0.0.0:0");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("--control-anyone"), "{said}");
    assert!(
        netem("--control 0.0.0.0:0 --control-anyone")
            .status
            .success()
    );
}

#[test]
fn without_a_terminal_the_live_view_is_lines() {
    let args =
        "proxy --listen 127.0.0.1:0 --to 127.0.0.1:9 --set delay=1ms --live --duration 1200ms";
    let mut command = Command::new(env!("CARGO_BIN_EXE_netem"));
    let output = command.args(args.split(' ')).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said
        .lines()
        .filter(|line| line.contains("| forward 0.00 Mbit/s in"));
    assert!(output.status.success() && lines.count() >= 2, "{said}");
}
