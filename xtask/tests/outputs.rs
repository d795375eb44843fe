//! Standard output and standard error that cannot be written.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::process::{Command, Stdio};

fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A pipe whose reader has left.
fn closed() -> Stdio {
    std::io::pipe().expect("a pipe").1.into()
}

fn full() -> Stdio {
    let file = File::options().write(true).open("/dev/full");
    file.expect("/dev/full").into()
}

#[test]
fn a_closed_pipe_on_stdout_ends_the_program_quietly_with_141() {
    for arguments in [
        &["list"][..],
        &["--help"],
        &["--version"],
        &["list", "--help"],
    ] {
        let output = xtask(arguments).stdout(closed()).output().expect("it runs");
        assert_eq!(output.status.code(), Some(141), "{arguments:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_full_disk_behind_stdout_is_an_error_with_a_sentence() {
    for arguments in [&["list"][..], &["--help"], &["--version"]] {
        let output = xtask(arguments).stdout(full()).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("standard output"), "{arguments:?}: {said}");
    }
}

#[test]
fn an_unwritable_stderr_changes_neither_the_result_nor_the_exit_code() {
    let expected = xtask(&["list"]).output().expect("it runs").stdout;
    for stderr in [closed(), full()] {
        let output = xtask(&["list"]).stderr(stderr).output().expect("it runs");
        assert_eq!((output.status.code(), &output.stdout), (Some(0), &expected));
    }
    for stderr in [closed(), full()] {
        let output = xtask(&["scenario", "nowhere"]).stderr(stderr).output();
        assert_eq!(output.expect("it runs").status.code(), Some(2));
    }
    for stderr in [closed(), full()] {
        let output = xtask(&["nonsense"]).stderr(stderr).output();
        assert_eq!(output.expect("it runs").status.code(), Some(2));
    }
}
