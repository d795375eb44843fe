//! An observer on the path learns nothing of a transfer, and flipped bits cannot harm it.

use std::collections::HashSet;

use lftp_netem::Direction;
use lftp_netem::record::{PacketOutcome, PacketRecord};

use super::fixture::{CLIENT_KEY, FILE, Fixture, Operation, SERVER_KEY, identity, noise};

const NETWORK: &str = "rate = \"50mbit\"\ndelay = \"10ms\"\nloss = \"1%\"";

const FILE_BYTES: usize = 1 << 20;

/// Bytes in a row that cannot agree by accident.
const WINDOW: usize = 8;

/// Looks for any [`WINDOW`] bytes of the secrets, and for any of the words.
struct Search {
    windows: HashSet<[u8; WINDOW]>,
    words: Vec<Vec<u8>>,
}

impl Search {
    fn of(secrets: &[&[u8]], words: &[&str]) -> Self {
        let windows = secrets
            .iter()
            .flat_map(|secret| secret.array_windows().copied());
        Self {
            windows: windows.collect(),
            words: words.iter().map(|word| word.as_bytes().to_vec()).collect(),
        }
    }

    fn finds(&self, datagram: &[u8]) -> bool {
        datagram
            .array_windows()
            .any(|seen| self.windows.contains(seen))
            || self.words.iter().any(|word| {
                datagram
                    .windows(word.len())
                    .any(|seen| seen == word.as_slice())
            })
    }
}

/// The records of both links since the last call.
fn records(fixture: &Fixture) -> Vec<PacketRecord> {
    let mut records = Vec::new();
    for direction in [Direction::Forward, Direction::Reverse] {
        fixture.world.links().take_records(direction, &mut records);
    }
    records
}

#[test]
fn a_capture_holds_no_byte_of_the_file_no_name_and_no_key() {
    let mut fixture = Fixture::new(NETWORK, 3);
    fixture.world.links().keep_records(true);
    fixture.world.links().keep_payloads(true);
    let contents = noise(1, FILE_BYTES);
    let receipts = fixture.transfer(&contents, &[Operation::Put, Operation::Get]);
    let captured = records(&fixture);
    let bytes: usize = captured.iter().map(|packet| packet.contents.len()).sum();
    assert!(bytes > 2 * FILE_BYTES, "all of it was captured: {bytes}");

    let keys = [SERVER_KEY, CLIENT_KEY].map(|number| identity(number).public_key());
    let [server, client] = keys.each_ref().map(|key| key.as_bytes().as_slice());
    let hash = receipts[0].hash;
    let secrets = [&contents[..], server, client, hash.as_bytes()];
    let (folder, file) = FILE.split_once('/').expect("a folder");
    let hex = hash.to_hex();
    let words = [
        folder,
        file,
        "\"put\"",
        "\"get\"",
        "\"name\"",
        "\"action\"",
        "\"status\"",
        "\"token\"",
        hex.as_str(),
    ];
    let search = Search::of(&secrets, &words);
    for packet in &captured {
        assert!(!search.finds(&packet.contents), "{packet:?}");
    }

    // The search does find: each secret is planted in the middle of a datagram.
    let largest = captured.iter().map(|packet| &packet.contents);
    let largest = largest.max_by_key(|contents| contents.len());
    let largest = largest.expect("datagrams");
    let plants = secrets
        .iter()
        .map(|secret| &secret[secret.len() / 2 - WINDOW / 2..][..WINDOW])
        .chain(words.iter().map(|word| word.as_bytes()));
    for plant in plants {
        let mut datagram = largest.to_vec();
        let at = (datagram.len() - plant.len()) / 2;
        datagram[at..at + plant.len()].copy_from_slice(plant);
        assert!(search.finds(&datagram), "{plant:?} is not found");
    }
}

#[test]
fn flipped_bits_change_nothing_but_retransmissions() {
    let contents = noise(2, FILE_BYTES);
    let (mut flipped, mut rejected) = (0, 0);
    for seed in 0..20 {
        let network = "rate = \"50mbit\"\ndelay = \"10ms\"\ncorrupt = \"5%\"";
        let mut fixture = Fixture::new(network, seed);
        fixture.world.links().keep_records(true);
        // Both files arrive whole, and no connection ends with an error, or this panics.
        let receipts = fixture.transfer(&contents, &[Operation::Put, Operation::Get]);
        assert!(receipts[0].stats.packets_retransmitted > 0);
        let records = records(&fixture);
        let damaged = |direction| {
            let seen = records.iter().filter(|it| it.direction == direction);
            seen.filter(|it| it.corrupted && it.outcome == PacketOutcome::Delivered)
                .count() as u64
        };
        let to_server = damaged(Direction::Forward);
        assert!(to_server > 0 && damaged(Direction::Reverse) > 0);
        let dropped = fixture.server.load().dropped_datagrams;
        assert_eq!(dropped, to_server, "seed {seed}");
        flipped += to_server + damaged(Direction::Reverse);
        rejected += dropped;
    }
    println!(
        "{flipped} datagrams with a flipped bit; the server rejected all {rejected} of its own"
    );
}
