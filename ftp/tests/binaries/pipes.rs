//! Standard input and output instead of a file.

use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

use crate::processes::{Server, client, client_command, contents, files, folder_with};

/// Longer than two blocks, and not a whole number of them.
const LEN: usize = 9_000_001;

fn put_from_stdin(server: &Server, bytes: &[u8]) -> Output {
    let args = ["put", "-", &server.host, "--name", "piped"];
    let mut command = client_command(&server.root, &args);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(bytes).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn standard_input_is_stored_as_a_file() {
    let server = Server::new(&[]);
    for len in [0, 5, 4 << 20, LEN] {
        let put = put_from_stdin(&server, &contents(len));
        assert_eq!(put.status.code(), Some(0), "{put:?}");
        assert!(fs::read(server.root.join("piped")).unwrap() == contents(len));
    }
    assert_eq!(server.files(), ["piped"]);
}

#[test]
fn a_file_is_received_to_standard_output() {
    let server = Server::new(&[]);
    let local = tempfile::tempdir().unwrap();
    for len in [0, 5, LEN] {
        fs::write(server.root.join("a"), contents(len)).unwrap();
        let mut get = client_command(local.path(), &["get", "a", &server.host, "--out", "-"]);
        let got = get.output().unwrap();
        assert_eq!(got.status.code(), Some(0), "{:?}", got.stderr);
        assert!(got.stdout == contents(len));
    }
    assert!(files(local.path()).is_empty());
}

#[test]
fn a_pipe_without_a_name_or_with_json_is_a_usage_error() {
    let server = Server::new(&[]);
    let local = folder_with("a", 5);
    for args in [
        &["put", "-", &server.host][..],
        &["get", "a", &server.host, "--out", "-", "--json"],
    ] {
        let refused = client(local.path(), args);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains("standard"), "{refused:?}");
    }
}
