//! `kill -9` of either side in the middle of a transfer: it resumes and completes.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use lftp_ftp::BLOCK_BYTES;

use crate::processes::{
    ProcessResult, Server, client, client_command, complete_files, contents, files, folder_with,
    server_command,
};

const MIB: u64 = 1 << 20;

/// A server that can be restarted at the same address, with all connections on one port.
struct RestartableServer {
    server: Server,
    folder: tempfile::TempDir,
}

impl RestartableServer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("shared");
        // A client killed while it received occupies its slot until this timeout.
        let more = ["--idle-timeout", "2"];
        let server = Server::spawn(server_command(&root, "same:30", &more), &root).unwrap();
        Self { server, folder }
    }

    fn root(&self) -> &Path {
        &self.server.root
    }

    fn kill(&mut self) {
        self.server.child.kill().unwrap();
        self.server.child.wait().unwrap();
    }

    fn restart(&mut self) {
        let root = self.folder.path().join("shared");
        let command = server_command(&root, "same:30", &["--listen", &self.server.host]);
        self.server = Server::spawn(command, &root).unwrap();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "separate processes share no injected clock"
)]
fn short_pause() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Returns the length of the partial file in a folder; 0 if there is none.
fn partial_bytes(folder: &Path) -> u64 {
    let part = files(folder)
        .into_iter()
        .find(|name| name.ends_with(".part"));
    part.and_then(|part| fs::metadata(folder.join(part)).ok())
        .map_or(0, |metadata| metadata.len())
}

/// Waits until `bytes` are written; `false` if the client ended before.
fn reaches(child: &mut Child, folder: &Path, bytes: u64) -> bool {
    while partial_bytes(folder) < bytes {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        short_pause();
    }
    true
}

/// Returns a number below `below` that looks random and is the same in every run.
fn random(seed: u64, below: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z ^ (z >> 27)) % below.max(1)
}

#[derive(Copy, Clone, Debug, PartialEq)]
enum Action {
    Put,
    Get,
}

fn start(action: Action, local: &Path, host: &str) -> Child {
    let mut args = match action {
        Action::Put => vec!["put", "file", host],
        Action::Get => vec!["get", "file", host, "--out", "."],
    };
    args.extend(["--json", "--give-up-after", "30", "--log", "info"]);
    client_command(local, &args).spawn().unwrap()
}

/// Asserts that a client succeeded, and returns the bytes that an earlier one had transferred.
fn resumed_bytes(done: &ProcessResult) -> u64 {
    assert_eq!(done.code, 0, "{done:?}");
    let object: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    object["resumed_bytes"].as_u64().unwrap()
}

/// Returns the offsets at which a client resumed, from its log.
fn resume_offsets(done: &ProcessResult) -> Vec<u64> {
    let lines = done.stderr.lines();
    let offsets = lines.filter_map(|line| line.split_once("resuming the transfer from="));
    offsets
        .map(|(_, from)| from.trim().parse().unwrap())
        .collect()
}

/// Kills one side `kills` times at random offsets of a file; the other side is not told.
#[expect(clippy::disallowed_methods, reason = "prints how long it takes")]
fn survives_kills(action: Action, is_server: bool, len: u64, kills: u64) {
    let mut server = RestartableServer::new();
    let there = server.root().to_owned();
    let local = tempfile::tempdir().unwrap();
    let (from, to) = match action {
        Action::Put => (local.path(), &*there),
        Action::Get => (&*there, local.path()),
    };
    fs::write(from.join("file"), contents(usize::try_from(len).unwrap())).unwrap();
    let mut client = start(action, local.path(), &server.server.host);
    let step = len / (kills + 1);
    let (mut written, mut offsets, mut slowest) = (Vec::new(), Vec::new(), Duration::ZERO);
    for kill in 0..kills {
        let at = kill * step + random(kill + 7 * len, step) + 1;
        assert!(reaches(&mut client, to, at), "the client ended too soon");
        if is_server {
            server.kill();
            written.push(partial_bytes(to));
            server.restart();
        } else {
            client.kill().unwrap();
            let done = ProcessResult::from(client.wait_with_output().unwrap());
            offsets.extend(resume_offsets(&done));
            written.push(partial_bytes(to));
            client = start(action, local.path(), &server.server.host);
        }
        let killed_at = std::time::Instant::now();
        // Without new bytes the resume offset would tell nothing.
        assert!(
            reaches(&mut client, to, written[kill as usize] + 1),
            "the transfer does not resume"
        );
        slowest = slowest.max(killed_at.elapsed());
    }
    let done = ProcessResult::from(client.wait_with_output().unwrap());
    offsets.extend(resume_offsets(&done));
    let last = resumed_bytes(&done);
    assert_eq!(offsets.len(), written.len(), "{done:?}");
    assert_eq!(offsets.last(), Some(&last));
    let costs: Vec<u64> = written
        .iter()
        .zip(&offsets)
        .map(|(w, p)| w.saturating_sub(*p))
        .collect();
    let (most, sum) = (costs.iter().max().unwrap(), costs.iter().sum::<u64>());
    eprintln!(
        "{action:?}, server killed: {is_server}: {kills} kills cost {sum} bytes, {most} at most; \
         new bytes after {slowest:?} at most"
    );
    assert!(*most <= BLOCK_BYTES, "{most} bytes were sent twice");
    let (sent, arrived) = (from.join("file"), to.join("file"));
    assert!(fs::read(sent).unwrap() == fs::read(arrived).unwrap());
    assert_eq!(files(to), ["file"]);
}

#[test]
fn a_put_whose_client_is_killed_resumes_at_the_next_attempt() {
    survives_kills(Action::Put, false, 96 * MIB, 4);
}

#[test]
fn a_put_whose_server_is_killed_resumes_by_itself() {
    survives_kills(Action::Put, true, 96 * MIB, 3);
}

#[test]
fn a_get_whose_client_is_killed_resumes_at_the_next_attempt() {
    survives_kills(Action::Get, false, 96 * MIB, 4);
}

#[test]
fn a_get_whose_server_is_killed_resumes_by_itself() {
    survives_kills(Action::Get, true, 96 * MIB, 3);
}

#[test]
#[ignore = "takes minutes: 1 GiB, twenty kills of each side, both ways"]
fn a_gibibyte_survives_twenty_kills_of_either_side() {
    for action in [Action::Put, Action::Get] {
        for is_server in [false, true] {
            survives_kills(action, is_server, 1024 * MIB, 20);
        }
    }
}

#[test]
fn a_file_changed_after_the_kill_is_sent_from_scratch() {
    let server = RestartableServer::new();
    let local = folder_with("file", 40 << 20);
    let mut putting = start(Action::Put, local.path(), &server.server.host);
    assert!(reaches(&mut putting, server.root(), 9 * MIB));
    putting.kill().unwrap();
    putting.wait().unwrap();
    let other = contents((40 << 20) + 1)[1..].to_vec();
    fs::write(local.path().join("file"), &other).unwrap();
    let putting = start(Action::Put, local.path(), &server.server.host);
    let done = ProcessResult::from(putting.wait_with_output().unwrap());
    assert_eq!(resumed_bytes(&done), 0);
    assert!(fs::read(server.root().join("file")).unwrap() == other);
    assert_eq!(complete_files(server.root()), ["file"]);
}

/// Length of a sparse file, received into a sparse one: 100 GiB that take no room on the disk.
#[cfg(target_os = "linux")]
const HUGE: u64 = 100 * 1024 * MIB;

/// Most bytes that a resume may read: those written since the last journal mark (at most twice the
/// interval between two marks), the journal, and the program itself.
#[cfg(target_os = "linux")]
const MOST_READ: u64 = 72 * MIB;

#[cfg(target_os = "linux")]
fn huge_file(folder: &Path) {
    let file = fs::File::create(folder.join("file")).unwrap();
    file.set_len(HUGE).unwrap();
}

/// Returns the bytes that a process has read since it started.
#[cfg(target_os = "linux")]
fn bytes_read_by(process: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{process}/io")).unwrap();
    let read = io.lines().find_map(|line| line.strip_prefix("rchar: "));
    read.unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_huge_file_resumes_immediately_and_is_not_read_again() {
    let mut server = RestartableServer::new();
    let local = tempfile::tempdir().unwrap();
    huge_file(server.root());
    let mut getting = start(Action::Get, local.path(), &server.server.host);
    assert!(reaches(&mut getting, local.path(), 64 * MIB));
    server.kill();
    let written = partial_bytes(local.path());
    server.restart();
    assert!(reaches(&mut getting, local.path(), written + 16 * MIB));
    // Only new bytes are read, not those already written.
    let read = bytes_read_by(getting.id());
    getting.kill().unwrap();
    getting.wait().unwrap();
    eprintln!("{written} bytes were there, {read} bytes were read");
    let listed = client(local.path(), &["ls", &server.server.host]);
    assert_eq!(listed.code, 0, "{listed:?}");
    assert!(read < MOST_READ, "{read} bytes were read");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes minutes: 100 GiB through the loopback interface, killed five times"]
#[expect(clippy::disallowed_methods, reason = "prints how long it takes")]
fn a_hundred_gibibytes_survive_kills_of_the_client() {
    use std::os::unix::fs::MetadataExt;
    let server = RestartableServer::new();
    let local = tempfile::tempdir().unwrap();
    huge_file(server.root());
    let mut getting = start(Action::Get, local.path(), &server.server.host);
    for kill in 1..=5 {
        assert!(reaches(&mut getting, local.path(), kill * HUGE / 6));
        getting.kill().unwrap();
        getting.wait().unwrap();
        let written = partial_bytes(local.path());
        let restarted_at = std::time::Instant::now();
        getting = start(Action::Get, local.path(), &server.server.host);
        assert!(reaches(&mut getting, local.path(), written + BLOCK_BYTES));
        let (took, read) = (restarted_at.elapsed(), bytes_read_by(getting.id()));
        eprintln!("{written} bytes were there: new ones after {took:?}, {read} bytes read");
        assert!(read < MOST_READ, "{read} bytes were read");
    }
    let done = ProcessResult::from(getting.wait_with_output().unwrap());
    assert!(resumed_bytes(&done) > HUGE / 2);
    let arrived = fs::metadata(local.path().join("file")).unwrap();
    assert_eq!(arrived.len(), HUGE);
    assert!(arrived.blocks() * 512 < 64 * MIB, "{arrived:?}");
}
