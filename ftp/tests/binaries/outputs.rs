//! Standard output and standard error that cannot be written: a full disk, or a pipe whose reader
//! has left. Neither may end a transfer or a server.

use std::fs::{self, File};
use std::io::Read;
use std::process::{Command, Stdio};

use crate::processes::{
    ProcessResult, SETTINGS, Server, client_command, contents, folder_with, pause, server_command,
    signal,
};

/// A pipe whose reader has left.
fn closed() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

fn full() -> Stdio {
    let file = File::options().write(true).open("/dev/full");
    file.unwrap().into()
}

fn server_key() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lftp-server"));
    command.env("XDG_CONFIG_HOME", &*SETTINGS);
    command
}

/// Commands whose only purpose is what they print.
fn printing(host: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["ls", host],
        vec!["ls", host, "--json"],
        vec!["key"],
        vec!["--help"],
        vec!["--version"],
        vec!["get", "large", host, "--out", "-"],
    ]
}

fn server_with_a_large_file() -> Server {
    let server = Server::new(&[]);
    fs::write(server.root.join("large"), contents(9_000_001)).unwrap();
    server
}

#[test]
fn a_closed_pipe_on_stdout_ends_the_client_quietly_with_141() {
    let server = server_with_a_large_file();
    let local = tempfile::tempdir().unwrap();
    for args in printing(&server.host) {
        let mut command = client_command(local.path(), &args);
        let result: ProcessResult = command.stdout(closed()).output().unwrap().into();
        assert_eq!(result.code, 141, "{args:?}: {result:?}");
        assert!(
            !result.stderr.contains("standard output"),
            "{args:?}: {result:?}"
        );
        assert!(!result.stderr.contains("panicked"), "{args:?}: {result:?}");
    }
}

#[test]
fn a_full_disk_behind_stdout_is_an_error_with_a_sentence() {
    let server = server_with_a_large_file();
    let local = tempfile::tempdir().unwrap();
    for args in printing(&server.host) {
        let mut command = client_command(local.path(), &args);
        let result: ProcessResult = command.stdout(full()).output().unwrap().into();
        assert_eq!(result.code, 8, "{args:?}: {result:?}");
        assert!(
            result.stderr.contains("standard output"),
            "{args:?}: {result:?}"
        );
    }
    for args in [&["key"][..], &["config", "show"], &["--help"]] {
        let result: ProcessResult = server_key()
            .args(args)
            .stdout(full())
            .output()
            .unwrap()
            .into();
        assert_eq!(result.code, 8, "{args:?}: {result:?}");
        assert!(
            result.stderr.contains("standard output"),
            "{args:?}: {result:?}"
        );
    }
}

/// The file is complete before its result is printed, and stays.
#[test]
fn a_result_that_cannot_be_printed_is_an_error_after_the_transfer() {
    let server = server_with_a_large_file();
    for (stdout, code) in [(full as fn() -> Stdio, 8), (closed, 141)] {
        let local = tempfile::tempdir().unwrap();
        let args = ["get", "large", &server.host, "--out", ".", "--json"];
        let mut command = client_command(local.path(), &args);
        let result: ProcessResult = command.stdout(stdout()).output().unwrap().into();
        assert_eq!(result.code, code, "{result:?}");
        assert!(fs::read(local.path().join("large")).unwrap() == contents(9_000_001));
    }
}

#[test]
fn an_unwritable_stderr_changes_no_transfer_and_no_exit_code() {
    let server = server_with_a_large_file();
    for stderr in [full as fn() -> Stdio, closed] {
        let local = folder_with("a", 9_000_001);
        for (args, code) in [
            (&["put", "a", &server.host][..], 0),
            (&["put", "-r", ".", &server.host, "--name", "tree"], 0),
            (
                &["get", "large", &server.host, "--out", "b", "--log", "trace"],
                0,
            ),
            (
                &["get", "large", &server.host, "--out", "b", "--no-clobber"],
                13,
            ),
            (&["get", "nothing", &server.host, "--out", "c"], 5),
            (&["nonsense"], 2),
            (&["ls", &server.host], 0),
        ] {
            let output = client_command(local.path(), args).stderr(stderr()).output();
            assert_eq!(output.unwrap().status.code(), Some(code), "{args:?}");
        }
        assert!(fs::read(local.path().join("b")).unwrap() == contents(9_000_001));
    }
}

/// The shell's first command of `2>&1 | head -1`, on the server's side.
#[test]
fn a_server_whose_log_cannot_be_written_serves_and_ends_at_a_signal() {
    for stderr in [full as fn() -> Stdio, closed] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("shared");
        let mut command = server_command(&root, "auto:3", &["--log", "trace"]);
        command.stderr(stderr());
        let mut server = Server::spawn(command, &root).unwrap();
        let local = folder_with("a", 9_000_001);
        for _ in 0..2 {
            let put = client_command(local.path(), &["put", "a", &server.host]).output();
            let put: ProcessResult = put.unwrap().into();
            assert_eq!(put.code, 0, "{put:?}");
        }
        signal(server.child.id(), "TERM");
        assert_ends(&mut server);
    }
}

/// Readers of the announcement may leave: it is not what a server is for.
#[test]
fn a_server_whose_announcement_nobody_reads_serves_and_one_that_cannot_write_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("shared");
    let mut unread = server_command(&root, "auto:3", &[]);
    let mut child = unread
        .stdout(closed())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..40 {
        pause();
    }
    assert!(child.try_wait().unwrap().is_none());
    signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let mut unwritten = server_command(&root, "auto:3", &[]);
    let mut child = unwritten
        .stdout(full())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..200 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        pause();
    }
    let _ = child.kill();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(8), "{said}");
    assert!(said.contains("standard output"), "{said}");
}

fn assert_ends(server: &mut Server) {
    for _ in 0..300 {
        if let Some(status) = server.child.try_wait().unwrap() {
            return assert_eq!(status.code(), Some(0));
        }
        pause();
    }
    panic!("the server does not end");
}
