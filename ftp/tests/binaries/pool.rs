//! Ten transfers, a hundred, ten at once, with clients that are killed: the ten ports are all
//! there afterwards, and an eleventh is told that they are taken.

use std::fs;
use std::process::Child;

use tempfile::TempDir;

use crate::holders::Holders;
use crate::processes::{
    Server, client, client_command, client_in_the_middle, contents, files, folder_with,
    succeeds_in_the_end,
};

/// The pool has its ten ports, and not one more.
fn assert_all_ten_are_there(server: &Server) {
    let holders = Holders::of(server, 10);
    let here = folder_with("eleventh", 10);
    for (action, file) in [("put", "eleventh"), ("get", "small")] {
        let done = client(here.path(), &[action, file, &server.host]);
        assert_eq!(done.code, 4, "{done:?}");
        for words in ["10 files at once", "try again later"] {
            assert!(done.stderr.contains(words), "{done:?}");
        }
    }
    assert_eq!(files(here.path()), ["eleventh"]);
    drop(holders);
}

fn put_many(server: &Server, here: &TempDir, times: usize) {
    // Whoever had the ports before may not have been missed yet.
    succeeds_in_the_end(here.path(), &["put", "small", &server.host]);
    for time in 1..times {
        let put = client(here.path(), &["put", "small", &server.host, "--quiet"]);
        assert_eq!(put.code, 0, "{time}: {put:?}");
    }
}

/// Ten clients in the middle of a transfer, and then none of them any more.
fn ten_are_killed_in_the_middle(server: &Server) {
    let here: Vec<_> = (0..10).map(|_| tempfile::tempdir().unwrap()).collect();
    let clients: Vec<_> = here
        .iter()
        .map(|here| client_in_the_middle(server, here.path(), &[]))
        .collect();
    for mut client in clients {
        client.kill().unwrap();
        client.wait().unwrap();
    }
    fs::remove_file(server.root.join("large")).unwrap();
}

/// Every third one is killed at some moment; the others succeed, be it at the second try.
fn ten_at_once(server: &Server, here: &TempDir) {
    let mut clients: Vec<Child> = (0..10)
        .map(|i| {
            let name = format!("copy-{i}");
            let args = ["put", "small", &server.host, "--name", &name];
            client_command(here.path(), &args).spawn().unwrap()
        })
        .collect();
    for killed in clients.iter_mut().step_by(3) {
        killed.kill().unwrap();
    }
    for (i, client) in clients.into_iter().enumerate() {
        let output = client.wait_with_output().unwrap();
        if output.status.code() == Some(4) {
            let name = format!("copy-{i}");
            let args = ["put", "small", &server.host, "--name", &name];
            succeeds_in_the_end(here.path(), &args);
        } else {
            assert!(output.status.success() || i % 3 == 0, "{i}: {output:?}");
        }
    }
}

#[test]
fn a_hundred_transfers_and_dozens_of_killed_clients_leave_all_ten_ports() {
    let server = Server::with_ports("auto:10", &["--idle-timeout", "2"]);
    let here = folder_with("small", 100_000);
    put_many(&server, &here, 10);
    assert_all_ten_are_there(&server);
    ten_are_killed_in_the_middle(&server);
    assert_all_ten_are_there(&server);
    put_many(&server, &here, 100);
    ten_at_once(&server, &here);
    assert_all_ten_are_there(&server);
    for name in ["nothing", "..", "small/x"] {
        for _ in 0..11 {
            let done = client(here.path(), &["get", name, &server.host]);
            assert!([5, 6].contains(&done.code), "{done:?}");
        }
    }
    assert_all_ten_are_there(&server);
    let kept = fs::read(server.root.join("small")).unwrap();
    assert!(kept == contents(100_000));
    let left = server.files();
    assert!(!left.iter().any(|file| file.ends_with(".part")), "{left:?}");
}
