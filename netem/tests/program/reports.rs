//! The program `netem`: its reports and its exit codes.

#![expect(
    clippy::unwrap_used,
    reason = "a test, which should say so when it cannot go on"
)]

use std::process::{Command, Output};

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
