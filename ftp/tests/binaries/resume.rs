//! `kill -9` in the middle of a transfer, either side: it goes on, and ends whole.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use lftp_ftp::BLOCK_BYTES;

use crate::processes::{
    Done, Server, client, client_command, contents, files, folder_with, server_command, whole,
};

const MIB: u64 = 1 << 20;

/// A server that can be started again at the same address, with everything on one port.
struct Phoenix {
    server: Server,
    folder: tempfile::TempDir,
}

impl Phoenix {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("shared");
        // A client that was killed while it received is missed after that time only, and
        // keeps its place until then.
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

    fn rise(&mut self) {
        let root = self.folder.path().join("shared");
        let command = server_command(&root, "same:30", &["--listen", &self.server.host]);
        self.server = Server::spawn(command, &root).unwrap();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "between two processes nobody hands time in"
)]
fn blink() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Bytes that a receiver has written of a file that is not whole.
fn part_bytes(folder: &Path) -> u64 {
    let part = files(folder)
        .into_iter()
        .find(|name| name.ends_with(".part"));
    part.and_then(|part| fs::metadata(folder.join(part)).ok())
        .map_or(0, |metadata| metadata.len())
}

/// Waits until so much is written; `false` when the client ended before.
fn reaches(child: &mut Child, folder: &Path, bytes: u64) -> bool {
    while part_bytes(folder) < bytes {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        blink();
    }
    true
}

/// Numbers that look random and are the same in every run.
fn random(seed: u64, below: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z ^ (z >> 27)) % below.max(1)
}

#[derive(Copy, Clone, Debug, PartialEq)]
enum Way {
    Put,
    Get,
}

fn begin(way: Way, here: &Path, host: &str) -> Child {
    let mut args = match way {
        Way::Put => vec!["put", "file", host],
        Way::Get => vec!["get", "file", host, "--out", "."],
    };
    args.extend(["--json", "--give-up-after", "30", "--log", "info"]);
    client_command(here, &args).spawn().unwrap()
}

/// What a client said that came to its end; how much of the file it did not carry itself.
fn resumed(done: &Done) -> u64 {
    assert_eq!(done.code, 0, "{done:?}");
    let object: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    object["resumed_bytes"].as_u64().unwrap()
}

/// From where a client went on, each time that it did.
fn places(done: &Done) -> Vec<u64> {
    let lines = done.stderr.lines();
    let told = lines.filter_map(|line| line.split_once("goes on where it broke off from="));
    told.map(|(_, from)| from.trim().parse().unwrap()).collect()
}

/// Kills one side at `kills` random places of a file; the other side is told nothing.
#[expect(clippy::disallowed_methods, reason = "prints how long it takes")]
fn killed(way: Way, is_server: bool, len: u64, kills: u64) {
    let mut server = Phoenix::new();
    let there = server.root().to_owned();
    let here = tempfile::tempdir().unwrap();
    let (from, to) = match way {
        Way::Put => (here.path(), &*there),
        Way::Get => (&*there, here.path()),
    };
    fs::write(from.join("file"), contents(usize::try_from(len).unwrap())).unwrap();
    let mut client = begin(way, here.path(), &server.server.host);
    let step = len / (kills + 1);
    let (mut written, mut places_after, mut slowest) = (Vec::new(), Vec::new(), Duration::ZERO);
    for kill in 0..kills {
        let at = kill * step + random(kill + 7 * len, step) + 1;
        assert!(reaches(&mut client, to, at), "it is at its end too soon");
        if is_server {
            server.kill();
            written.push(part_bytes(to));
            server.rise();
        } else {
            client.kill().unwrap();
            let done = Done::from(client.wait_with_output().unwrap());
            places_after.extend(places(&done));
            written.push(part_bytes(to));
            client = begin(way, here.path(), &server.server.host);
        }
        let begun = std::time::Instant::now();
        // Without news there would be no telling where it went on.
        assert!(
            reaches(&mut client, to, written[kill as usize] + 1),
            "it does not go on"
        );
        slowest = slowest.max(begun.elapsed());
    }
    let done = Done::from(client.wait_with_output().unwrap());
    places_after.extend(places(&done));
    let last = resumed(&done);
    assert_eq!(places_after.len(), written.len(), "{done:?}");
    assert_eq!(places_after.last(), Some(&last));
    let costs: Vec<u64> = written
        .iter()
        .zip(&places_after)
        .map(|(w, p)| w.saturating_sub(*p))
        .collect();
    let (most, sum) = (costs.iter().max().unwrap(), costs.iter().sum::<u64>());
    eprintln!(
        "{way:?}, server killed: {is_server}: {kills} kills cost {sum} bytes, {most} at most; \
         new bytes after {slowest:?} at most"
    );
    assert!(*most <= BLOCK_BYTES, "{most} bytes were sent twice");
    let (sent, arrived) = (from.join("file"), to.join("file"));
    assert!(fs::read(sent).unwrap() == fs::read(arrived).unwrap());
    assert_eq!(files(to), ["file"]);
}

#[test]
fn a_put_whose_client_is_killed_goes_on_at_the_next_try() {
    killed(Way::Put, false, 96 * MIB, 4);
}

#[test]
fn a_put_whose_server_is_killed_goes_on_by_itself() {
    killed(Way::Put, true, 96 * MIB, 3);
}

#[test]
fn a_get_whose_client_is_killed_goes_on_at_the_next_try() {
    killed(Way::Get, false, 96 * MIB, 4);
}

#[test]
fn a_get_whose_server_is_killed_goes_on_by_itself() {
    killed(Way::Get, true, 96 * MIB, 3);
}

#[test]
#[ignore = "takes minutes: 1 GiB, twenty kills of each side, both ways"]
fn a_gibibyte_survives_twenty_kills_of_either_side() {
    for way in [Way::Put, Way::Get] {
        for is_server in [false, true] {
            killed(way, is_server, 1024 * MIB, 20);
        }
    }
}

#[test]
fn a_file_that_was_changed_after_the_kill_is_sent_anew() {
    let server = Phoenix::new();
    let here = folder_with("file", 40 << 20);
    let mut putting = begin(Way::Put, here.path(), &server.server.host);
    assert!(reaches(&mut putting, server.root(), 9 * MIB));
    putting.kill().unwrap();
    putting.wait().unwrap();
    let other = contents((40 << 20) + 1)[1..].to_vec();
    fs::write(here.path().join("file"), &other).unwrap();
    let putting = begin(Way::Put, here.path(), &server.server.host);
    let done = Done::from(putting.wait_with_output().unwrap());
    assert_eq!(resumed(&done), 0);
    assert!(fs::read(server.root().join("file")).unwrap() == other);
    assert_eq!(whole(server.root()), ["file"]);
}

/// A sparse file of 100 GiB, received into a sparse one: nothing but its length is large.
#[cfg(target_os = "linux")]
const HUGE: u64 = 100 * 1024 * MIB;

/// What a resume may read: what was written since the last mark, which is at most twice what is
/// written between two; the journal, and the program itself.
#[cfg(target_os = "linux")]
const MOST_READ: u64 = 72 * MIB;

#[cfg(target_os = "linux")]
fn huge_file(folder: &Path) {
    let file = fs::File::create(folder.join("file")).unwrap();
    file.set_len(HUGE).unwrap();
}

/// What a process has read since it began, in bytes.
#[cfg(target_os = "linux")]
fn read_by(process: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{process}/io")).unwrap();
    let read = io.lines().find_map(|line| line.strip_prefix("rchar: "));
    read.unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_huge_file_goes_on_at_once_and_is_not_read_again() {
    let mut server = Phoenix::new();
    let here = tempfile::tempdir().unwrap();
    huge_file(server.root());
    let mut getting = begin(Way::Get, here.path(), &server.server.host);
    assert!(reaches(&mut getting, here.path(), 64 * MIB));
    server.kill();
    let written = part_bytes(here.path());
    server.rise();
    assert!(reaches(&mut getting, here.path(), written + 16 * MIB));
    // Never what is there already.
    let read = read_by(getting.id());
    getting.kill().unwrap();
    getting.wait().unwrap();
    eprintln!("{written} bytes were there, {read} bytes were read");
    let listed = client(here.path(), &["ls", &server.server.host]);
    assert_eq!(listed.code, 0, "{listed:?}");
    assert!(read < MOST_READ, "{read} bytes were read");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes minutes: 100 GiB through the loopback interface, killed five times"]
#[expect(clippy::disallowed_methods, reason = "prints how long it takes")]
fn a_hundred_gibibytes_survive_kills_of_the_client() {
    use std::os::unix::fs::MetadataExt;
    let server = Phoenix::new();
    let here = tempfile::tempdir().unwrap();
    huge_file(server.root());
    let mut getting = begin(Way::Get, here.path(), &server.server.host);
    for kill in 1..=5 {
        assert!(reaches(&mut getting, here.path(), kill * HUGE / 6));
        getting.kill().unwrap();
        getting.wait().unwrap();
        let written = part_bytes(here.path());
        let begun = std::time::Instant::now();
        getting = begin(Way::Get, here.path(), &server.server.host);
        assert!(reaches(&mut getting, here.path(), written + BLOCK_BYTES));
        let (took, read) = (begun.elapsed(), read_by(getting.id()));
        eprintln!("{written} bytes were there: new ones after {took:?}, {read} bytes read");
        assert!(read < MOST_READ, "{read} bytes were read");
    }
    let done = Done::from(getting.wait_with_output().unwrap());
    assert!(resumed(&done) > HUGE / 2);
    let arrived = fs::metadata(here.path().join("file")).unwrap();
    assert_eq!(arrived.len(), HUGE);
    assert!(arrived.blocks() * 512 < 64 * MIB, "{arrived:?}");
}
