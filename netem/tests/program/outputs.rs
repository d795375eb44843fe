//! Standard output and standard error that cannot be written.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a test, which should say so when it cannot go on"
)]

use std::fs::File;
use std::process::{Command, Stdio};

const PROXY: &str = "proxy --listen 127.0.0.1:0 --to 127.0.0.1:9 --set delay=1ms --duration 50ms";

fn netem(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netem"));
    command.args(arguments.split_whitespace());
    command
}

/// A pipe whose reader has left.
fn closed() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

fn full() -> Stdio {
    let file = File::options().write(true).open("/dev/full");
    file.unwrap().into()
}

#[test]
fn a_closed_pipe_on_stdout_ends_the_program_quietly_with_141() {
    for arguments in ["presets", "show --profile 4g", "--help", "--version", PROXY] {
        let output = netem(arguments).stdout(closed()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(141), "{arguments}: {said}");
        assert!(!said.contains("standard output"), "{arguments}: {said}");
    }
}

#[test]
fn a_full_disk_behind_stdout_is_an_error_with_a_sentence() {
    for arguments in ["presets", "show --profile 4g", "--help", PROXY] {
        let output = netem(arguments).stdout(full()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{arguments}: {said}");
        assert!(said.contains("standard output"), "{arguments}: {said}");
    }
}

#[test]
fn an_unwritable_stderr_changes_neither_the_run_nor_the_exit_code() {
    for (arguments, code) in [
        (format!("{PROXY} --json"), 0),
        (
            format!("{} --json --live", PROXY.replace("50ms", "1200ms")),
            0,
        ),
        ("show --profile /no/such/file".to_owned(), 3),
        ("nonsense".to_owned(), 2),
    ] {
        for stderr in [closed(), full()] {
            let output = netem(&arguments).stderr(stderr).output().unwrap();
            assert_eq!(output.status.code(), Some(code), "{arguments}");
            assert_eq!(output.stdout.is_empty(), code != 0, "{arguments}");
        }
    }
}
