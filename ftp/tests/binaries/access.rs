//! Access control: keys of clients, their rights, roots and quotas, and keys of servers.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::processes::{ProcessResult, Server, pause};

/// A server with an authorized-keys file and a key file, and clients with keys of their own.
struct Fixture {
    folder: TempDir,
    server: Option<Server>,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            server: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.path("shared")
    }

    fn host(&self) -> &str {
        &self.server.as_ref().unwrap().host
    }

    /// Returns the client's public key; the first call creates it.
    fn key_of(&self, client: &str) -> String {
        let shown = self.client(client, &["key", "show"]);
        assert_eq!(shown.code, 0, "{shown:?}");
        shown.stdout.split_whitespace().last().unwrap().to_owned()
    }

    fn server_command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lftp-server"));
        command
            .args([
                "--listen",
                "127.0.0.1:0",
                "--data-ports",
                "same",
                "--no-fsync",
            ])
            .arg("--root")
            .arg(self.root())
            .args(more)
            .env("XDG_CONFIG_HOME", self.path("server"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Replaces the lines of the authorized keys.
    fn write_keys(&self, lines: &str) {
        let settings = self.path("server/lftp");
        fs::create_dir_all(&settings).unwrap();
        fs::write(settings.join("authorized_keys"), lines).unwrap();
    }

    /// Starts a shell whose commands are written to its standard input, and waits until it is
    /// connected.
    fn shell(&self, client: &str) -> Child {
        let mut command = self.client_command(client, &["shell", self.host()]);
        let mut shell = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = shell.stdin.as_mut().unwrap();
        stdin.write_all(b"lls\n").unwrap();
        let stdout = shell.stdout.as_mut().unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        shell
    }

    /// Starts a server that admits the keys in these lines.
    fn start(&mut self, lines: &str, more: &[&str]) {
        self.write_keys(lines);
        self.server = None;
        let mut command = self.server_command(more);
        command.stderr(Stdio::null());
        self.server = Some(Server::spawn(command, &self.root()).unwrap());
    }

    /// Runs a client of this name in a folder of its own.
    fn client(&self, client: &str, args: &[&str]) -> ProcessResult {
        self.client_in(&self.path(client), args)
    }

    fn client_in(&self, folder: &Path, args: &[&str]) -> ProcessResult {
        command_in(folder, args).output().unwrap().into()
    }

    fn client_command(&self, client: &str, args: &[&str]) -> Command {
        command_in(&self.path(client), args)
    }

    /// Runs a client, as [`client`](Self::client) does, that trusts the server's key at first contact.
    fn trusting(&self, client: &str, args: &[&str]) -> ProcessResult {
        let args: Vec<&str> = args.iter().copied().chain(["--accept-new"]).collect();
        self.client(client, &args)
    }
}

fn command_in(folder: &Path, args: &[&str]) -> Command {
    fs::create_dir_all(folder).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lftp-client"));
    command
        .args(args)
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .stdin(Stdio::null());
    command
}

fn assert_refused(result: &ProcessResult, code: i32, messages: &[&str]) {
    assert_eq!(result.code, code, "{result:?}");
    for message in messages {
        assert!(result.stderr.contains(message), "{message:?} in {result:?}");
    }
}

#[test]
fn an_unauthorized_key_is_refused_with_the_line_that_would_admit_it() {
    let mut fixture = Fixture::new();
    let (known, unknown) = (fixture.key_of("known"), fixture.key_of("unknown"));
    fixture.start(&format!("read,write {known} a comment\n"), &[]);
    let host = fixture.host();
    assert_eq!(fixture.trusting("known", &["ls", host]).code, 0);
    let done = fixture.trusting("unknown", &["ls", host]);
    assert_refused(&done, 19, &["does not know this client's key", &unknown]);
    // A client without a key file creates a key, which no server knows.
    let done = fixture.trusting("keyless", &["ls", host]);
    assert_refused(&done, 19, &["does not know this client's key"]);
}

#[test]
fn the_right_to_read_does_not_include_the_right_to_write() {
    let mut fixture = Fixture::new();
    let (reader, writer) = (fixture.key_of("reader"), fixture.key_of("writer"));
    fixture.start(&format!("read {reader}\nwrite {writer}\n"), &[]);
    for client in ["reader", "writer"] {
        fs::write(fixture.path(client).join("file"), client).unwrap();
    }
    let host = fixture.host();
    assert_eq!(fixture.trusting("writer", &["put", "file", host]).code, 0);
    assert_eq!(
        fixture
            .trusting("reader", &["get", "file", host, "--out", "got"])
            .code,
        0
    );
    assert_eq!(fs::read(fixture.path("reader/got")).unwrap(), b"writer");
    let put = fixture.trusting("reader", &["put", "file", host]);
    assert_refused(&put, 7, &["no right to write", &reader]);
    for args in [&["get", "file", host][..], &["ls", host]] {
        assert_refused(
            &fixture.trusting("writer", args),
            7,
            &["no right to read", &writer],
        );
    }
    assert_eq!(fs::read(fixture.root().join("file")).unwrap(), b"writer");
}

#[test]
fn anonymous_clients_are_admitted_with_anonymous_only() {
    let mut fixture = Fixture::new();
    fixture.start("", &["--anonymous", "read"]);
    fs::write(fixture.root().join("a"), "a").unwrap();
    let host = fixture.host();
    assert_eq!(
        fixture.trusting("anonymous", &["ls", host]).stdout.trim(),
        "1  a"
    );
    fs::write(fixture.path("anonymous/b"), "b").unwrap();
    assert_refused(
        &fixture.trusting("anonymous", &["put", "b", host]),
        7,
        &["no right to write"],
    );
}

#[test]
fn each_key_has_its_own_root_and_cannot_leave_it() {
    let mut fixture = Fixture::new();
    let (alice, bob) = (fixture.key_of("alice"), fixture.key_of("bob"));
    fixture.start(&format!("rw root=alice {alice}\nrw root=bob {bob}\n"), &[]);
    for client in ["alice", "bob"] {
        fs::write(fixture.path(client).join(client), client).unwrap();
        assert_eq!(
            fixture
                .trusting(client, &["put", client, fixture.host()])
                .code,
            0
        );
    }
    assert_eq!(
        fs::read(fixture.root().join("alice/alice")).unwrap(),
        b"alice"
    );
    let host = fixture.host();
    assert_eq!(
        fixture.trusting("alice", &["ls", host]).stdout.trim(),
        "5  alice"
    );
    assert_refused(&fixture.trusting("alice", &["get", "bob", host]), 5, &[]);
    for name in ["../bob/bob", "/etc/hostname"] {
        assert_refused(&fixture.trusting("alice", &["get", name, host]), 6, &[]);
    }
}

#[test]
fn a_quota_holds_before_and_during_a_transfer() {
    let mut fixture = Fixture::new();
    let key = fixture.key_of("small");
    fixture.start(&format!("rw quota=9MiB {key}\n"), &[]);
    let host = fixture.host();
    let file = |name: &str, bytes: usize| {
        fs::write(fixture.path("small").join(name), vec![7; bytes]).unwrap();
    };
    file("large", 10 << 20);
    file("fits", 8 << 20);
    assert_refused(
        &fixture.trusting("small", &["put", "large", host]),
        8,
        &["quota"],
    );
    assert_eq!(fixture.trusting("small", &["put", "fits", host]).code, 0);
    file("more", 2 << 20);
    assert_refused(
        &fixture.trusting("small", &["put", "more", host]),
        8,
        &["quota"],
    );
    // A piped file announces no length, so it is stopped during the transfer.
    let piped = fs::File::open(fixture.path("small/large")).unwrap();
    let args = ["put", "-", host, "--name", "piped", "--accept-new"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_lftp-client"));
    let output = command
        .args(args)
        .env("XDG_CONFIG_HOME", fixture.path("small"))
        .stdin(piped)
        .output()
        .unwrap();
    assert_refused(&output.into(), 8, &[]);
    // Replacing a file frees its bytes first.
    assert_eq!(fixture.trusting("small", &["put", "fits", host]).code, 0);
    assert_eq!(fixture.server.as_ref().unwrap().files(), ["fits"]);
}

#[test]
fn a_server_is_trusted_on_first_use_and_a_changed_key_is_refused() {
    let mut fixture = Fixture::new();
    let key = fixture.key_of("me");
    fixture.start(&format!("rw {key}\n"), &[]);
    let unknown = fixture.client("me", &["ls", fixture.host()]);
    assert_refused(&unknown, 18, &["is not known yet", "--accept-new"]);
    assert_eq!(fixture.trusting("me", &["ls", fixture.host()]).code, 0);
    assert_eq!(fixture.client("me", &["ls", fixture.host()]).code, 0);
    let known = fixture.path("me/lftp/known_servers");
    let before = fs::read_to_string(&known).unwrap();
    assert!(before.contains(fixture.host()), "{before}");
    // The same address with another key.
    let host = fixture.host().to_owned();
    fs::remove_file(fixture.path("server/lftp/server.key")).unwrap();
    fixture.server = None;
    let mut command = fixture.server_command(&[]);
    command.args(["--listen", &host]).stderr(Stdio::null());
    fixture.server = Some(Server::spawn(command, &fixture.root()).unwrap());
    for args in [&["ls", &host][..], &["ls", &host, "--accept-new"]] {
        assert_refused(
            &fixture.client("me", args),
            18,
            &["WARNING", "known_servers"],
        );
    }
    assert_eq!(fs::read_to_string(&known).unwrap(), before);
}

#[test]
fn concurrent_first_contacts_all_succeed_and_add_one_line() {
    let fixture = {
        let mut fixture = Fixture::new();
        let key = fixture.key_of("me");
        fixture.start(&format!("rw {key}\n"), &[]);
        fixture
    };
    std::thread::scope(|scope| {
        let attempts: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| fixture.trusting("me", &["ls", fixture.host()])))
            .collect();
        for done in attempts {
            let done = done.join().unwrap();
            assert_eq!(done.code, 0, "{done:?}");
        }
    });
    let known = fs::read_to_string(fixture.path("me/lftp/known_servers")).unwrap();
    assert_eq!(known.matches(fixture.host()).count(), 1, "{known}");
}

#[test]
fn a_bad_line_is_skipped_and_named_and_keeps_no_removed_key_alive() {
    let mut fixture = Fixture::new();
    let (kept, removed) = (fixture.key_of("kept"), fixture.key_of("removed"));
    let bad = format!("read,fly {}\n", "ab".repeat(32));
    let log = fixture.path("log");
    let mut command = fixture.server_command(&[]);
    command.stderr(fs::File::create(&log).unwrap());
    fixture.write_keys(&format!("# comment\n\n{bad}rw {kept}\nrw {removed}\n"));
    fixture.server = Some(Server::spawn(command, &fixture.root()).unwrap());
    for client in ["kept", "removed"] {
        let listed = fixture.trusting(client, &["ls", fixture.host()]);
        assert_eq!(listed.code, 0, "{listed:?}");
    }
    fixture.write_keys(&format!("# comment\n\n{bad}rw {kept}\n"));
    let listed = fixture.trusting("kept", &["ls", fixture.host()]);
    assert_eq!(listed.code, 0, "{listed:?}");
    let refused = fixture.trusting("removed", &["ls", fixture.host()]);
    assert_eq!(refused.code, 19, "{refused:?}");
    let log = fs::read_to_string(log).unwrap();
    for word in ["authorized_keys", "line 3", "fly"] {
        assert!(log.contains(word), "{word}: {log}");
    }
}

#[test]
fn the_session_of_a_removed_key_ends() {
    let mut fixture = Fixture::new();
    let key = fixture.key_of("me");
    fixture.start(&format!("rw {key}\n"), &[]);
    let listed = fixture.trusting("me", &["ls", fixture.host()]);
    assert_eq!(listed.code, 0, "{listed:?}");
    let mut shell = fixture.shell("me");
    fixture.write_keys("# nobody\n");
    wait_for_the_check();
    shell.stdin.take().unwrap().write_all(b"ls\n").unwrap();
    let ended = ProcessResult::from(shell.wait_with_output().unwrap());
    assert_eq!(ended.code, 19, "{ended:?}");
}

#[test]
fn the_session_of_a_key_with_fewer_rights_ends_and_one_with_more_does_not() {
    let mut fixture = Fixture::new();
    let key = fixture.key_of("me");
    for (before, after, code) in [("rw", "read", 7), ("read", "rw", 0)] {
        fixture.start(&format!("{before} {key}\n"), &[]);
        fs::write(fixture.path("me/a"), "a").unwrap();
        let listed = fixture.trusting("me", &["ls", fixture.host()]);
        assert_eq!(listed.code, 0, "{listed:?}");
        let mut shell = fixture.shell("me");
        fixture.write_keys(&format!("{after} {key}\n"));
        wait_for_the_check();
        let command = if code == 0 { "ls\n" } else { "put a\n" };
        shell
            .stdin
            .take()
            .unwrap()
            .write_all(command.as_bytes())
            .unwrap();
        let ended = ProcessResult::from(shell.wait_with_output().unwrap());
        assert_eq!(ended.code, code, "{before} to {after}: {ended:?}");
    }
}

#[test]
fn the_transfer_of_a_removed_key_ends() {
    let mut fixture = Fixture::new();
    let key = fixture.key_of("me");
    fixture.start(&format!("rw {key}\n"), &[]);
    let large = fs::File::create(fixture.root().join("large")).unwrap();
    large.set_len(1 << 36).unwrap();
    let listed = fixture.trusting("me", &["ls", fixture.host()]);
    assert_eq!(listed.code, 0, "{listed:?}");
    // To standard output, which holds the transfer up until it is read.
    let mut getting = fixture
        .client_command("me", &["get", "large", fixture.host(), "--out", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = getting.stdout.take().unwrap();
    let mut first = [0; 1];
    stdout.read_exact(&mut first).unwrap();
    fixture.write_keys("# nobody\n");
    std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    let ended = ProcessResult::from(getting.wait_with_output().unwrap());
    assert_eq!(ended.code, 19, "{ended:?}");
}

/// Waits for longer than the server takes to notice a change of the authorized keys.
fn wait_for_the_check() {
    for _ in 0..60 {
        pause();
    }
}

#[test]
fn keys_are_shown_and_created_and_not_replaced_by_accident() {
    let fixture = Fixture::new();
    let server = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lftp-server"));
        command
            .args(args)
            .env("XDG_CONFIG_HOME", fixture.path("server"));
        ProcessResult::from(command.output().unwrap())
    };
    let first = server(&["key"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert_eq!(server(&["key", "show"]).stdout, first.stdout);
    assert_ne!(server(&["key", "new"]).code, 0);
    assert_eq!(server(&["key", "show"]).stdout, first.stdout);
    let forced = server(&["key", "new", "--force"]);
    assert_eq!(forced.code, 0, "{forced:?}");
    assert_ne!(server(&["key", "show"]).stdout, first.stdout);
    let (client, again) = (fixture.key_of("client"), fixture.key_of("client"));
    assert_eq!(client, again);
    assert_ne!(fixture.client("client", &["key", "new"]).code, 0);
    #[cfg(unix)]
    for file in ["server/lftp/server.key", "client/lftp/client.key"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(fixture.path(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}
