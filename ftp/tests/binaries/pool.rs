//! The port pool after many transfers and killed clients: all ten ports are free again, and an
//! eleventh transfer is refused.

use std::fs;
use std::process::Child;

use tempfile::TempDir;

use crate::held_ports::HeldPorts;
use crate::processes::{
    Server, client, client_command, client_mid_transfer, contents, files, folder_with,
    succeeds_eventually,
};

/// Asserts that exactly ten ports can be leased.
fn assert_ten_ports_are_free(server: &Server) {
    let held = HeldPorts::new(server, 10);
    let local = folder_with("eleventh", 10);
    for (action, file) in [("put", "eleventh"), ("get", "small")] {
        let done = client(local.path(), &[action, file, &server.host]);
        assert_eq!(done.code, 4, "{done:?}");
        for message in ["limit of 10 transfers", "try again later"] {
            assert!(done.stderr.contains(message), "{done:?}");
        }
    }
    assert_eq!(files(local.path()), ["eleventh"]);
    drop(held);
}

fn put_many(server: &Server, local: &TempDir, times: usize) {
    // The server may not have noticed yet that the earlier users of its ports are gone.
    succeeds_eventually(local.path(), &["put", "small", &server.host]);
    for time in 1..times {
        let put = client(local.path(), &["put", "small", &server.host, "--quiet"]);
        assert_eq!(put.code, 0, "{time}: {put:?}");
    }
}

/// Kills ten clients in the middle of a transfer.
fn kill_ten_mid_transfer(server: &Server) {
    let local: Vec<_> = (0..10).map(|_| tempfile::tempdir().unwrap()).collect();
    let clients: Vec<_> = local
        .iter()
        .map(|local| client_mid_transfer(server, local.path(), &[]))
        .collect();
    for mut client in clients {
        client.kill().unwrap();
        client.wait().unwrap();
    }
    fs::remove_file(server.root.join("large")).unwrap();
}

/// Starts ten clients and kills every third; the others succeed, at the second attempt if the
/// server is busy.
fn run_ten_at_once(server: &Server, local: &TempDir) {
    let mut clients: Vec<Child> = (0..10)
        .map(|i| {
            let name = format!("copy-{i}");
            let args = ["put", "small", &server.host, "--name", &name];
            client_command(local.path(), &args).spawn().unwrap()
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
            succeeds_eventually(local.path(), &args);
        } else {
            assert!(output.status.success() || i % 3 == 0, "{i}: {output:?}");
        }
    }
}

#[test]
fn a_hundred_transfers_and_dozens_of_killed_clients_leave_all_ten_ports() {
    let server = Server::with_ports("auto:10", &["--idle-timeout", "2"]);
    let local = folder_with("small", 100_000);
    put_many(&server, &local, 10);
    assert_ten_ports_are_free(&server);
    kill_ten_mid_transfer(&server);
    assert_ten_ports_are_free(&server);
    put_many(&server, &local, 100);
    run_ten_at_once(&server, &local);
    assert_ten_ports_are_free(&server);
    for name in ["nothing", "..", "small/x"] {
        for _ in 0..11 {
            let done = client(local.path(), &["get", name, &server.host]);
            assert!([5, 6].contains(&done.code), "{done:?}");
        }
    }
    assert_ten_ports_are_free(&server);
    let kept = fs::read(server.root.join("small")).unwrap();
    assert!(kept == contents(100_000));
    let left = server.files();
    assert!(!left.iter().any(|file| file.ends_with(".part")), "{left:?}");
}
