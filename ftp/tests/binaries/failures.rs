//! Failures: each has a message and an exit code, and leaves no file under its final name.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::held_ports::HeldPorts;
use crate::processes::{
    ProcessResult, Server, client, client_command, client_mid_transfer, client_with_input,
    complete_files, contents, files, folder_with, pause, server_command, signal,
    succeeds_eventually,
};

#[track_caller]
fn assert_fails(result: &ProcessResult, code: i32, messages: &[&str]) {
    assert_eq!(result.code, code, "{result:?}");
    assert!(result.stdout.is_empty(), "{result:?}");
    for message in messages {
        assert!(
            result.stderr.contains(message),
            "{message:?} is not in {result:?}"
        );
    }
}

#[test]
fn a_missing_file_is_5_and_named() {
    let server = Server::new(&[]);
    let local = tempfile::tempdir().unwrap();
    let get = client(
        local.path(),
        &["get", "nothing.bin", &server.host, "--out", "."],
    );
    assert_fails(&get, 5, &["nothing.bin", "does not exist", &server.host]);
    let ls = client(local.path(), &["ls", &server.host, "nowhere"]);
    assert_fails(&ls, 5, &["nowhere"]);
    assert!(files(local.path()).is_empty());
}

#[test]
fn refused_clients_free_their_slots() {
    let server = Server::new(&["--max-clients", "2"]);
    let local = folder_with("a", 10);
    for _ in 0..6 {
        let args = ["get", "nothing", &server.host, "--out", "."];
        let get = client(local.path(), &args);
        assert_fails(&get, 5, &["does not exist"]);
        let shell = client_with_input(local.path(), &["shell", &server.host], "ls nowhere\n");
        assert_fails(&shell, 5, &["nowhere"]);
    }
    assert_eq!(client(local.path(), &["put", "a", &server.host]).code, 0);
}

#[test]
fn names_that_leave_the_root_are_6_with_the_reason() {
    let server = Server::new(&[]);
    let local = folder_with("a", 10);
    for (name, why) in [
        ("..", ".."),
        ("../up", ".."),
        ("/etc/lftp", "relative"),
        ("a/../b", ".."),
    ] {
        let put = client(local.path(), &["put", "a", &server.host, "--name", name]);
        assert_fails(&put, 6, &["refused", why]);
        let get = client(local.path(), &["get", name, &server.host, "--out", "got"]);
        assert_fails(&get, 6, &["refused", why]);
    }
    assert_eq!(files(local.path()), ["a"]);
    assert!(server.files().is_empty());
    assert!(!server.root.parent().unwrap().join("up").exists());
}

#[test]
fn a_file_that_must_not_be_replaced_is_13() {
    let server = Server::new(&[]);
    let local = folder_with("a", 10);
    fs::write(server.root.join("a"), "old").unwrap();
    let put = client(local.path(), &["put", "a", &server.host, "--no-clobber"]);
    assert_fails(&put, 13, &["\"a\"", "already exists"]);
    assert_eq!(fs::read(server.root.join("a")).unwrap(), b"old");
    let get = client(
        local.path(),
        &["get", "a", &server.host, "-n", "--out", "."],
    );
    assert_fails(&get, 13, &["already exists"]);
    assert_eq!(fs::read(local.path().join("a")).unwrap(), contents(10));
}

#[test]
fn a_missing_local_file_is_12() {
    let server = Server::new(&[]);
    let local = tempfile::tempdir().unwrap();
    let put = client(local.path(), &["put", "nothing", &server.host]);
    assert_fails(&put, 12, &["nothing", "does not exist"]);
    let get = client(local.path(), &["get", "a", &server.host, "--out", "none/a"]);
    assert_fails(&get, 12, &["none", "does not exist"]);
}

#[test]
fn a_server_that_does_not_answer_is_3() {
    let local = tempfile::tempdir().unwrap();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let host = socket.local_addr().unwrap().to_string();
    let ls = client(local.path(), &["ls", &host, "--connect-timeout", "1"]);
    assert_fails(&ls, 3, &[&host, "is lftp-server running"]);
}

#[test]
fn an_invalid_command_line_is_2() {
    let local = tempfile::tempdir().unwrap();
    for args in [
        &["put"][..],
        &["frobnicate"],
        &["ls", "host:port:more"],
        &["ls", "host", "--congestion", "wishful"],
    ] {
        let done = client(local.path(), args);
        assert_eq!(done.code, 2, "{done:?}");
        assert!(!done.stderr.is_empty());
    }
}

#[test]
fn a_busy_server_is_4_and_serves_again_later() {
    let server = Server::with_ports("auto:1", &["--idle-timeout", "2"]);
    let local = folder_with("a", 10);
    let held = HeldPorts::new(&server, 1);
    let put = client(local.path(), &["put", "a", &server.host]);
    assert_fails(&put, 4, &["limit of 1 transfers", "try again later"]);
    drop(held);
    succeeds_eventually(local.path(), &["put", "a", &server.host]);
}

#[test]
fn a_client_killed_mid_transfer_leaves_no_file_and_blocks_no_other() {
    let server = Server::with_ports("auto:1", &["--idle-timeout", "2"]);
    let local = folder_with("small", 10);
    let large = fs::File::create(local.path().join("large")).unwrap();
    large.set_len(1 << 30).unwrap();
    let mut killed = client_command(local.path(), &["put", "large", &server.host])
        .spawn()
        .unwrap();
    // Its port is leased by the time that its partial file exists.
    for _ in 0..1000 {
        if server.files().iter().any(|file| file.ends_with(".part")) {
            break;
        }
        pause();
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    succeeds_eventually(local.path(), &["put", "small", &server.host]);
    assert_eq!(complete_files(&server.root), ["small"]);
}

#[test]
fn a_server_killed_mid_transfer_is_10_and_leaves_no_file() {
    let mut server = Server::new(&[]);
    let local = tempfile::tempdir().unwrap();
    let args = ["--idle-timeout", "1", "--give-up-after", "0"];
    let getting = client_mid_transfer(&server, local.path(), &args);
    server.child.kill().unwrap();
    let done = ProcessResult::from(getting.wait_with_output().unwrap());
    assert_fails(&done, 10, &["get large", "interrupted", "network"]);
    assert!(
        complete_files(local.path()).is_empty(),
        "{:?}",
        files(local.path())
    );
}

#[cfg(unix)]
#[test]
fn a_server_stopped_mid_transfer_tells_the_client_which_is_15() {
    let mut server = Server::new(&["--grace", "0"]);
    let local = tempfile::tempdir().unwrap();
    let getting = client_mid_transfer(&server, local.path(), &["--give-up-after", "0"]);
    signal(server.child.id(), "INT");
    let done = ProcessResult::from(getting.wait_with_output().unwrap());
    assert_fails(&done, 15, &["being stopped"]);
    assert!(
        complete_files(local.path()).is_empty(),
        "{:?}",
        files(local.path())
    );
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn an_interrupted_client_leaves_no_file() {
    let server = Server::new(&[]);
    let local = tempfile::tempdir().unwrap();
    let getting = client_mid_transfer(&server, local.path(), &[]);
    signal(getting.id(), "INT");
    let done = ProcessResult::from(getting.wait_with_output().unwrap());
    assert_eq!(done.code, 130, "{done:?}");
    assert!(
        complete_files(local.path()).is_empty(),
        "{:?}",
        files(local.path())
    );
}

#[cfg(unix)]
#[test]
fn a_terminated_server_exits_with_0() {
    let mut server = Server::new(&[]);
    let local = folder_with("a", 10);
    assert_eq!(client(local.path(), &["put", "a", &server.host]).code, 0);
    signal(server.child.id(), "TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert_eq!(server.files(), ["a"]);
}

#[cfg(unix)]
#[test]
fn the_shell_can_be_left_when_the_server_is_gone() {
    let mut server = Server::new(&[]);
    let local = folder_with("local", 10);
    let mut shell = client_command(
        local.path(),
        &["shell", &server.host, "--connect-timeout", "1"],
    )
    .stdin(Stdio::piped())
    .spawn()
    .unwrap();
    let mut input = shell.stdin.take().unwrap();
    let mut output = BufReader::new(shell.stdout.take().unwrap());
    let mut line = String::new();
    fs::write(server.root.join("there"), "").unwrap();
    input.write_all(b"ls\n").unwrap();
    output.read_line(&mut line).unwrap();
    assert!(line.contains("there"), "{line}");
    signal(server.child.id(), "INT");
    server.child.wait().unwrap();
    input.write_all(b"lls\nquit\n").unwrap();
    drop(input);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    let done = ProcessResult::from(shell.wait_with_output().unwrap());
    assert_eq!(done.code, 0, "{done:?}");
    assert!(rest.contains("local"), "{rest}");
}

#[test]
fn a_port_in_use_is_16_on_the_server() {
    let server = Server::new(&[]);
    let root = tempfile::tempdir().unwrap();
    let starts = |listen: &str, ports| {
        let mut second = server_command(root.path(), ports, &["--log", "warn", "--listen", listen]);
        ProcessResult::from(second.stderr(Stdio::piped()).output().unwrap())
    };
    let done = starts(&server.host, "auto:1");
    assert_fails(&done, 16, &[&server.host, "another server"]);
    let done = starts("203.0.113.1:0", "same");
    assert_fails(&done, 16, &["203.0.113.1", "no network interface"]);
}

#[test]
fn a_root_that_is_a_file_is_12_on_the_server() {
    let local = folder_with("a", 10);
    let root = local.path().join("a");
    let output = server_command(&root, "auto:1", &[])
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_fails(
        &output.into(),
        12,
        &["folder to share", "a", "is not a folder"],
    );
}

#[cfg(unix)]
#[test]
fn a_root_without_write_permission_is_7() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("shared");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a"), "readable").unwrap();
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(folder.path(), 0o755);
    allow(&root, 0o555);
    let settings = folder.path().join("settings");
    fs::create_dir(&settings).unwrap();
    allow(&settings, 0o777);
    let mut command = server_command(&root, "auto:1", &[]);
    command.env("XDG_CONFIG_HOME", &settings);
    if fs::write(root.join("probe"), "").is_ok() {
        // The superuser may write everywhere: run the server as another user.
        fs::remove_file(root.join("probe")).unwrap();
        command.uid(65534).gid(65534);
    }
    let Ok(server) = Server::spawn(command, &root) else {
        eprintln!("skipped: the server cannot be run as another user");
        return;
    };
    let local = folder_with("b", 10);
    let run = |args: &[&str]| {
        let mut command = client_command(local.path(), args);
        ProcessResult::from(command.env("XDG_CONFIG_HOME", &settings).output().unwrap())
    };
    let put = run(&["put", "b", &server.host]);
    assert_fails(&put, 7, &["\"b\"", "permission denied"]);
    assert_eq!(server.files(), ["a"]);
    assert_eq!(run(&["get", "a", &server.host]).code, 0);
}

/// A mounted file system of 1 MiB; needs the superuser.
struct SmallDisk(
    PathBuf,
    #[expect(dead_code, reason = "held")] tempfile::TempDir,
);

impl SmallDisk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(&path)
            .stderr(Stdio::null());
        let is_mounted = mount.status().is_ok_and(|status| status.success());
        is_mounted.then_some(Self(path, folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_8_on_either_side() {
    let Some(disk) = SmallDisk::new() else {
        eprintln!("skipped: no small file system can be mounted here");
        return;
    };
    let server = Server::spawn(server_command(&disk.0, "auto:2", &[]), &disk.0).unwrap();
    let local = folder_with("large", 3_000_000);
    let put = client(local.path(), &["put", "large", &server.host]);
    assert_fails(&put, 8, &["large", "no space"]);
    assert!(server.files().is_empty(), "{:?}", server.files());
    fs::write(local.path().join("small"), "small").unwrap();
    assert_eq!(
        client(local.path(), &["put", "small", &server.host]).code,
        0
    );
    assert_eq!(server.files(), ["small"]);

    let other = Server::new(&[]);
    fs::write(other.root.join("large"), contents(3_000_000)).unwrap();
    let out = disk.0.to_str().unwrap();
    let get = client(local.path(), &["get", "large", &other.host, "--out", out]);
    assert_fails(&get, 8, &["large", "no space"]);
    assert_eq!(files(&disk.0), ["small"]);
}
