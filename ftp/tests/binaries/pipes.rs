//! Standard input and output in the place of a file.

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
fn what_comes_through_a_pipe_is_a_file_there() {
    let server = Server::new(&[]);
    for len in [0, 5, 4 << 20, LEN] {
        let put = put_from_stdin(&server, &contents(len));
        assert_eq!(put.status.code(), Some(0), "{put:?}");
        assert!(fs::read(server.root.join("piped")).unwrap() == contents(len));
    }
    assert_eq!(server.files(), ["piped"]);
}

#[test]
fn a_file_goes_through_a_pipe() {
    let server = Server::new(&[]);
    let here = tempfile::tempdir().unwrap();
    for len in [0, 5, LEN] {
        fs::write(server.root.join("a"), contents(len)).unwrap();
        let mut get = client_command(here.path(), &["get", "a", &server.host, "--out", "-"]);
        let got = get.output().unwrap();
        assert_eq!(got.status.code(), Some(0), "{:?}", got.stderr);
        assert!(got.stdout == contents(len));
    }
    assert!(files(here.path()).is_empty());
}

#[test]
fn a_pipe_without_a_name_or_beside_json_is_an_error_of_usage() {
    let server = Server::new(&[]);
    let here = folder_with("a", 5);
    for args in [
        &["put", "-", &server.host][..],
        &["get", "a", &server.host, "--out", "-", "--json"],
    ] {
        let refused = client(here.path(), args);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains("standard"), "{refused:?}");
    }
}
