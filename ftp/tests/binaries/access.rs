//! Who may: keys of clients, their rights, places and quotas, and keys of servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::processes::{Done, Server};

/// A server with an authorized-keys file and a key file, and clients with keys of their own.
struct World {
    folder: TempDir,
    server: Option<Server>,
}

impl World {
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

    /// The client's public key; the first call makes it.
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

    /// Starts a server that lets in whom these lines name.
    fn start(&mut self, lines: &str, more: &[&str]) {
        let settings = self.path("server/lftp");
        fs::create_dir_all(&settings).unwrap();
        fs::write(settings.join("authorized_keys"), lines).unwrap();
        self.server = None;
        let mut command = self.server_command(more);
        command.stderr(Stdio::null());
        self.server = Some(Server::spawn(command, &self.root()).unwrap());
    }

    /// What a client of this name does in a folder of its own.
    fn client(&self, client: &str, args: &[&str]) -> Done {
        self.client_in(&self.path(client), args)
    }

    fn client_in(&self, folder: &Path, args: &[&str]) -> Done {
        fs::create_dir_all(folder).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lftp-client"));
        command
            .args(args)
            .current_dir(folder)
            .env("XDG_CONFIG_HOME", folder)
            .env("XDG_STATE_HOME", folder.join("state"))
            .stdin(Stdio::null());
        command.output().unwrap().into()
    }

    /// As [`client`](Self::client), one that takes the server's key the first time.
    fn trusting(&self, client: &str, args: &[&str]) -> Done {
        let args: Vec<&str> = args.iter().copied().chain(["--accept-new"]).collect();
        self.client(client, &args)
    }
}

fn refused(done: &Done, code: i32, words: &[&str]) {
    assert_eq!(done.code, code, "{done:?}");
    for word in words {
        assert!(done.stderr.contains(word), "{word:?} in {done:?}");
    }
}

#[test]
fn a_key_that_is_not_authorized_gets_nothing_and_reads_which_line_is_missing() {
    let mut world = World::new();
    let (known, stranger) = (world.key_of("known"), world.key_of("stranger"));
    world.start(&format!("read,write {known} somebody\n"), &[]);
    let host = world.host();
    assert_eq!(world.trusting("known", &["ls", host]).code, 0);
    let done = world.trusting("stranger", &["ls", host]);
    refused(&done, 19, &["does not know this client's key", &stranger]);
    // A client without a key file makes a key, and nobody knows that one.
    let done = world.trusting("keyless", &["ls", host]);
    refused(&done, 19, &["does not know this client's key"]);
}

#[test]
fn rights_are_kept_apart() {
    let mut world = World::new();
    let (reader, writer) = (world.key_of("reader"), world.key_of("writer"));
    world.start(&format!("read {reader}\nwrite {writer}\n"), &[]);
    for client in ["reader", "writer"] {
        fs::write(world.path(client).join("file"), client).unwrap();
    }
    let host = world.host();
    assert_eq!(world.trusting("writer", &["put", "file", host]).code, 0);
    assert_eq!(
        world
            .trusting("reader", &["get", "file", host, "--out", "got"])
            .code,
        0
    );
    assert_eq!(fs::read(world.path("reader/got")).unwrap(), b"writer");
    let put = world.trusting("reader", &["put", "file", host]);
    refused(&put, 7, &["no right to write", &reader]);
    for args in [&["get", "file", host][..], &["ls", host]] {
        refused(
            &world.trusting("writer", args),
            7,
            &["no right to read", &writer],
        );
    }
    assert_eq!(fs::read(world.root().join("file")).unwrap(), b"writer");
}

#[test]
fn everybody_is_let_in_only_where_that_is_asked_for() {
    let mut world = World::new();
    world.start("", &["--anonymous", "read"]);
    fs::write(world.root().join("a"), "a").unwrap();
    let host = world.host();
    assert_eq!(
        world.trusting("anybody", &["ls", host]).stdout.trim(),
        "1  a"
    );
    fs::write(world.path("anybody/b"), "b").unwrap();
    refused(
        &world.trusting("anybody", &["put", "b", host]),
        7,
        &["no right to write"],
    );
}

#[test]
fn each_key_has_its_own_place_and_nothing_leads_out_of_it() {
    let mut world = World::new();
    let (alice, bob) = (world.key_of("alice"), world.key_of("bob"));
    world.start(&format!("rw root=alice {alice}\nrw root=bob {bob}\n"), &[]);
    for client in ["alice", "bob"] {
        fs::write(world.path(client).join(client), client).unwrap();
        assert_eq!(
            world.trusting(client, &["put", client, world.host()]).code,
            0
        );
    }
    assert_eq!(
        fs::read(world.root().join("alice/alice")).unwrap(),
        b"alice"
    );
    let host = world.host();
    assert_eq!(
        world.trusting("alice", &["ls", host]).stdout.trim(),
        "5  alice"
    );
    refused(&world.trusting("alice", &["get", "bob", host]), 5, &[]);
    for name in ["../bob/bob", "/etc/hostname"] {
        refused(&world.trusting("alice", &["get", name, host]), 6, &[]);
    }
}

#[test]
fn a_quota_is_kept_before_and_during() {
    let mut world = World::new();
    let key = world.key_of("small");
    world.start(&format!("rw quota=9MiB {key}\n"), &[]);
    let host = world.host();
    let file = |name: &str, bytes: usize| {
        fs::write(world.path("small").join(name), vec![7; bytes]).unwrap();
    };
    file("large", 10 << 20);
    file("fits", 8 << 20);
    refused(
        &world.trusting("small", &["put", "large", host]),
        8,
        &["quota"],
    );
    assert_eq!(world.trusting("small", &["put", "fits", host]).code, 0);
    file("more", 2 << 20);
    refused(
        &world.trusting("small", &["put", "more", host]),
        8,
        &["quota"],
    );
    // What comes through a pipe has said no length, and is stopped on the way.
    let piped = fs::File::open(world.path("small/large")).unwrap();
    let args = ["put", "-", host, "--name", "piped", "--accept-new"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_lftp-client"));
    let output = command
        .args(args)
        .env("XDG_CONFIG_HOME", world.path("small"))
        .stdin(piped)
        .output()
        .unwrap();
    refused(&output.into(), 8, &[]);
    // The same file again takes the place of what is there.
    assert_eq!(world.trusting("small", &["put", "fits", host]).code, 0);
    assert_eq!(world.server.as_ref().unwrap().files(), ["fits"]);
}

#[test]
fn a_server_is_known_from_the_first_time_on_and_another_key_is_refused() {
    let mut world = World::new();
    let key = world.key_of("me");
    world.start(&format!("rw {key}\n"), &[]);
    let unknown = world.client("me", &["ls", world.host()]);
    refused(&unknown, 18, &["is not known yet", "--accept-new"]);
    assert_eq!(world.trusting("me", &["ls", world.host()]).code, 0);
    assert_eq!(world.client("me", &["ls", world.host()]).code, 0);
    let known = world.path("me/lftp/known_servers");
    let before = fs::read_to_string(&known).unwrap();
    assert!(before.contains(world.host()), "{before}");
    // The same address with another key.
    let host = world.host().to_owned();
    fs::remove_file(world.path("server/lftp/server.key")).unwrap();
    world.server = None;
    let mut command = world.server_command(&[]);
    command.args(["--listen", &host]).stderr(Stdio::null());
    world.server = Some(Server::spawn(command, &world.root()).unwrap());
    for args in [&["ls", &host][..], &["ls", &host, "--accept-new"]] {
        refused(&world.client("me", args), 18, &["WARNING", "known_servers"]);
    }
    assert_eq!(fs::read_to_string(&known).unwrap(), before);
}

#[test]
fn first_contacts_at_once_all_get_in_and_leave_one_line() {
    let world = {
        let mut world = World::new();
        let key = world.key_of("me");
        world.start(&format!("rw {key}\n"), &[]);
        world
    };
    std::thread::scope(|scope| {
        let tries: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| world.trusting("me", &["ls", world.host()])))
            .collect();
        for done in tries {
            let done = done.join().unwrap();
            assert_eq!(done.code, 0, "{done:?}");
        }
    });
    let known = fs::read_to_string(world.path("me/lftp/known_servers")).unwrap();
    assert_eq!(known.matches(world.host()).count(), 1, "{known}");
}

#[test]
fn a_bad_line_stops_the_server_and_is_named() {
    let world = World::new();
    let settings = world.path("server/lftp");
    fs::create_dir_all(&settings).unwrap();
    let lines = format!("# comment\n\nread,fly {}\n", "ab".repeat(32));
    fs::write(settings.join("authorized_keys"), lines).unwrap();
    let done = Done::from(world.server_command(&[]).output().unwrap());
    refused(&done, 12, &["authorized_keys", "line 3", "fly"]);
}

#[test]
fn keys_are_shown_and_made_and_not_replaced_by_accident() {
    let world = World::new();
    let server = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lftp-server"));
        command
            .args(args)
            .env("XDG_CONFIG_HOME", world.path("server"));
        Done::from(command.output().unwrap())
    };
    let first = server(&["key"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert_eq!(server(&["key", "show"]).stdout, first.stdout);
    assert_ne!(server(&["key", "new"]).code, 0);
    assert_eq!(server(&["key", "show"]).stdout, first.stdout);
    let forced = server(&["key", "new", "--force"]);
    assert_eq!(forced.code, 0, "{forced:?}");
    assert_ne!(server(&["key", "show"]).stdout, first.stdout);
    let (client, again) = (world.key_of("client"), world.key_of("client"));
    assert_eq!(client, again);
    assert_ne!(world.client("client", &["key", "new"]).code, 0);
    #[cfg(unix)]
    for file in ["server/lftp/server.key", "client/lftp/client.key"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(world.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}
