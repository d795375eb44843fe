//! Text that a peer has written reaches terminal, log and JSON only where it can do no harm.

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use bytes::Bytes;
use lftp_ftp::protocol::VERSION;
use lftp_transport::{Config, Runtime, Stream, TokioRuntime};
use serde_json::{Value, json};

use crate::false_server::{FalseServer, Script, framed, read_body};
use crate::processes::{
    ProcessResult, Server, client_command, client_with_input, pause, server_command,
};

/// Clears the screen, sets the title of the terminal, turns the direction of writing, hides what
/// follows, and looks like several lines.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}gnp\u{2066}.\u{200b}\u{feff}\
                       \u{ad}\u{61c}\u{2028}\u{e0041}\r\nlftp-client: all is well\u{7f}\u{8}the-end";

/// Returns the first character that a terminal or a reader must not be shown.
fn harmful(text: &str) -> Option<char> {
    let is_harmful = |c: char| {
        c != '\n'
            && (c.is_control()
                || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'))
    };
    text.chars().find(|&c| is_harmful(c))
}

#[track_caller]
fn assert_harmless(what: &str, result: &ProcessResult) {
    for output in [&result.stdout, &result.stderr] {
        assert_eq!(harmful(output), None, "{what}: {output:?}");
        // A line of the peer's own would be one that the program seems to have written.
        for line in output.lines() {
            assert!(!line.starts_with("lftp-client: all is"), "{what}: {output}");
        }
    }
}

fn refusal(reason: &str) -> Value {
    json!({"status": false, "code": "io", "reason": reason})
}

fn failed(text: &str) -> Value {
    json!({"path": text, "code": "io", "reason": text})
}

fn summary() -> Value {
    json!({
        "status": true, "files": 0, "bytes": 0, "unchanged": 0, "skipped": 0, "failed": 1,
        "failures": [failed(HOSTILE)],
    })
}

const PUT: &[&str] = &["put", "a"];
const PUT_TREE: &[&str] = &["put", "-r", "tree"];
const GET: &[&str] = &["get", "a", "--out", "got"];
const GET_TREE: &[&str] = &["get", "-r", "b", "--out", "."];
const PIPED: &[&str] = &["put", "-", "--name", "a"];
const LS: &[&str] = &["ls"];
const HASH: &[&str] = &["verify", "a", "a", "--host"];

/// A command, and what the server answers it. `true`: the user is to read what the server wrote.
type Case = (&'static [&'static str], Script, bool);

/// Every message of a server that has text in it, with hostile text.
fn cases() -> Vec<Case> {
    let ready = json!({"ack": "ACK"});
    let mut cases: Vec<Case> = Vec::new();
    for command in [PUT, PUT_TREE, GET, GET_TREE, PIPED, LS, HASH] {
        cases.push((command, Script::replying(refusal(HOSTILE)), true));
        let unknown = json!({"status": false, "code": HOSTILE, "reason": HOSTILE});
        cases.push((command, Script::replying(unknown), true));
        let no_reason = json!({"status": false, "code": "io", "reason": {HOSTILE: 1}});
        cases.push((command, Script::replying(no_reason), false));
    }
    let entry = |name: &str, kind: &str| json!({"name": name, "kind": kind, "size": 1});
    let listing = |entries: &[Value]| json!({"status": true, "entries": entries, "more": false});
    let names = [
        entry(&format!("a{HOSTILE}"), "file"),
        entry(&format!("b{HOSTILE}"), "folder"),
    ];
    cases.push((LS, Script::replying(listing(&names)), true));
    let no_kind = [entry("a", HOSTILE)];
    cases.push((LS, Script::replying(listing(&no_kind)), true));
    let hash = json!({"status": true, "bytes": 1, "hash": HOSTILE});
    cases.push((HASH, Script::replying(hash.clone()), false));
    let mut granted = Script::granting(0, &[]);
    granted.reply["token"] = HOSTILE.into();
    cases.push((GET, granted, false));
    let mut granted = Script::granting(0, &[]).then(blake3_of_nothing());
    granted.reply["source"] = HOSTILE.into();
    cases.push((GET, granted, false));

    let rejected = |messages: &[Value]| Script::granting(0, messages);
    for command in [PUT, PUT_TREE, PIPED] {
        let messages = [ready.clone(), refusal(HOSTILE)];
        cases.push((command, rejected(&messages), true));
    }
    cases.push((PUT, Script::granting(0, &[ready.clone(), hash]), false));
    let messages = [ready, json!({"want": []}), summary()];
    cases.push((PUT_TREE, Script::granting(0, &messages), true));

    let page = json!({
        "entries": [{"path": "turned\u{202e}gnp", "size": 0}, {"path": HOSTILE, "size": 1}],
        "last": true,
        "failed": [failed(HOSTILE)],
    });
    let header = json!({"index": 0, "size": null, "failed": failed(HOSTILE)});
    cases.push((GET_TREE, Script::granting(0, &[page, header]), true));
    cases
}

const fn blake3_of_nothing() -> &'static [u8; 32] {
    &[
        0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc, 0xc9,
        0x49, 0x9b, 0xcb, 0x25, 0xc9, 0xad, 0xc1, 0x12, 0xb7, 0xcc, 0x9a, 0x93, 0xca, 0xe4, 0x1f,
        0x32, 0x62,
    ]
}

fn run(command: &[&str], script: Script, more: &[&str]) -> ProcessResult {
    let server = FalseServer::new(script);
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("a"), "").unwrap();
    fs::create_dir(local.path().join("tree")).unwrap();
    fs::write(local.path().join("tree/x"), "x").unwrap();
    let common = ["--server-key", &server.key, "--give-up-after", "0"];
    let args = [command, &[&server.host], more, &common].concat();
    client_with_input(local.path(), &args, "")
}

#[test]
fn text_of_a_server_reaches_the_user_escaped() {
    for (command, script, is_shown) in cases() {
        let what = format!("{command:?} {}", script.reply);
        let result = run(command, script, &["--log", "trace"]);
        assert_harmless(&what, &result);
        if is_shown {
            let said = format!("{}{}", result.stdout, result.stderr);
            assert!(said.contains("the-end"), "{what}: {result:?}");
            assert!(said.contains("\\u{1b}[2J"), "{what}: {result:?}");
        }
    }
}

#[test]
fn text_of_a_server_is_escaped_in_json_and_unchanged_to_a_parser() {
    for (command, script, is_shown) in cases() {
        let what = format!("{command:?} {}", script.reply);
        let result = run(command, script, &["--json"]);
        assert_harmless(&what, &result);
        let lines = result.stdout.lines();
        let objects: Vec<Value> = lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{what}: {line}")))
            .collect();
        if is_shown && command == LS && result.code == 0 {
            assert_eq!(objects[0]["name"], format!("a{HOSTILE}"), "{what}");
        }
    }
}

#[test]
fn a_long_text_of_a_server_is_cut() {
    let long = format!("beginning{}", "\u{1b}x".repeat(4_000));
    for script in [
        Script::replying(refusal(&long)),
        Script::granting(0, &[json!({"ack": "ACK"}), refusal(&long)]),
    ] {
        let result = run(PUT, script, &[]);
        assert_harmless("a long text", &result);
        assert!(result.stderr.contains("beginning"), "{result:?}");
        assert!(result.stderr.len() < 6_000, "{} bytes", result.stderr.len());
    }
}

#[cfg(unix)]
#[test]
fn names_of_local_files_are_escaped_in_the_shell() {
    let server = Server::new(&[]);
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("a\u{202e}gnp\u{1b}[2J"), "").unwrap();
    let result = client_with_input(local.path(), &["shell", &server.host], "lls\n");
    assert_harmless("lls", &result);
    assert!(result.stdout.contains("gnp"), "{result:?}");
}

/// Every request of a client, with a hostile name.
fn requests(name: &str) -> Vec<Value> {
    let held = json!({"blocks": 1, "size": 1, "samples": []});
    vec![
        json!({"action": "put", "name": name, "size": 1, "source": name}),
        json!({"action": "put-piped", "name": name}),
        json!({"action": "get", "name": name, "held": held}),
        json!({"action": "put-tree", "name": name, "source": name}),
        json!({"action": "get-tree", "name": name}),
        json!({"action": "hash", "name": name}),
        json!({"action": "ls", "path": name, "after": name}),
        json!({"action": "cancel", "token": name}),
        json!({"action": name}),
        json!({"action": "put", "name": {name: name}}),
    ]
}

async fn connect(addr: SocketAddr, hello: &Value) -> Stream {
    let runtime: Arc<dyn Runtime> = TokioRuntime::new();
    let config = Config {
        // One key for all connections: a token is good for one client.
        identity: Some(lftp_transport::Identity::from_secret([3; 32])),
        ..Config::default()
    };
    let mut stream = Stream::connect(runtime, addr, config).await.unwrap();
    say(&mut stream, hello).await;
    stream
}

async fn say(stream: &mut Stream, message: &Value) {
    let message = Bytes::from(framed(&message.to_string()));
    stream.write_bytes(message).await.unwrap();
}

/// Asks for a transfer, and says on its data connection what follows.
async fn transfer(control: &mut Stream, addr: SocketAddr, request: &Value, messages: &[Value]) {
    say(control, request).await;
    let granted = read_body(control).await.unwrap();
    let granted: Value = serde_json::from_slice(&granted).unwrap();
    assert_eq!(granted["status"], true, "{granted}");
    let port = u16::try_from(granted["port"].as_u64().unwrap()).unwrap();
    let hello = json!({"lftp": VERSION, "connection": "data", "token": granted["token"]});
    let mut data = connect((addr.ip(), port).into(), &hello).await;
    for message in messages {
        say(&mut data, message).await;
    }
    // To its end, by which the server has logged it.
    while let Ok(Some(_)) = data.read_chunk(1 << 20).await {}
}

async fn say_everything(addr: SocketAddr) {
    for hello in [
        json!({"lftp": VERSION, "connection": HOSTILE}),
        json!({"lftp": VERSION, "connection": "data", "token": HOSTILE}),
        json!({"lftp": HOSTILE}),
    ] {
        let mut refused = connect(addr, &hello).await;
        while let Ok(Some(_)) = refused.read_chunk(1 << 20).await {}
    }
    let mut control = connect(addr, &json!({"lftp": VERSION, "connection": "control"})).await;
    let long = HOSTILE.repeat(300);
    for name in [HOSTILE, "turned\u{202e}gnp", &long] {
        for request in requests(name) {
            say(&mut control, &request).await;
            read_body(&mut control).await.unwrap();
        }
    }
    // Grants that the hostile but valid name has left behind hold the ports.
    drop(control);
    let mut control = connect(addr, &json!({"lftp": VERSION, "connection": "control"})).await;
    let ready = json!({"ack": "ACK"});
    let get = json!({"action": "get", "name": "there"});
    for last in [
        refusal(HOSTILE),
        json!({"status": true, "bytes": 1, "hash": HOSTILE}),
        json!({"status": HOSTILE}),
    ] {
        transfer(&mut control, addr, &get, &[ready.clone(), last]).await;
    }
    let get_tree = json!({"action": "get-tree", "name": ""});
    let messages = [ready.clone(), refusal(HOSTILE)];
    transfer(&mut control, addr, &get_tree, &messages).await;
    let put_tree = json!({"action": "put-tree", "name": "t", "source": HOSTILE});
    let page = json!({
        "entries": [{"path": HOSTILE, "size": 1}, {"path": "a\u{202e}", "size": 9}],
        "last": true,
        "failed": [failed(HOSTILE)],
    });
    let header = json!({"index": 1, "size": null, "failed": failed(HOSTILE)});
    transfer(&mut control, addr, &put_tree, &[page, header]).await;
}

#[test]
fn text_of_a_client_reaches_the_log_of_the_server_escaped_and_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (root, log) = (folder.path().join("shared"), folder.path().join("log"));
    fs::create_dir(&root).unwrap();
    fs::write(root.join("there"), "x").unwrap();
    let mut command = server_command(&root, "auto:8", &["--log", "trace"]);
    command.stderr(Stdio::from(fs::File::create(&log).unwrap()));
    let server = Server::spawn(command, &root).unwrap();
    let addr = server.host.parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(say_everything(addr));
    for _ in 0..10 {
        pause();
    }
    drop(server);
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("the-end") && log.contains("put-tree"), "{log}");
    assert_eq!(harmful(&log), None);
    for line in log.lines() {
        assert!(line.starts_with("20"), "no line of the server: {line:?}");
        assert!(line.len() < 6_000, "{} bytes: {line}", line.len());
    }
}

#[test]
fn a_client_that_names_a_hostile_file_shows_it_escaped() {
    let server = Server::new(&[]);
    let local = tempfile::tempdir().unwrap();
    for args in [
        &["get", HOSTILE, &server.host, "--out", "x"][..],
        &["ls", &server.host, HOSTILE],
        &["get", "a\u{202e}b", &server.host],
    ] {
        let result = client_command(local.path(), args).output().unwrap();
        assert_harmless(&format!("{args:?}"), &result.into());
    }
}
