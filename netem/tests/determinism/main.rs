//! The same seed gives the same outcomes, on every machine and however the crate was built.
//!
//! For each seed there is a network at random, traffic at random, and a hash of all that became
//! of it, which is committed in `hashes.txt`. All thousand are checked, with
//! `NETEM_DETERMINISM_SEEDS=100` so many. `NETEM_DETERMINISM_SEED=7` checks one and prints its
//! network. When outcomes are meant to change, `NETEM_BLESS=1` writes the file again.

mod random_profile;

use std::{fmt::Write as _, fs, net::SocketAddr};

use lftp_netem::{
    Direction, Time, link::Link, packet::Packet, profile::NetworkProfile, record::PacketOutcome,
    rng::stream,
};
use random_profile::{Dice, network};

const HASHES: &str = include_str!("hashes.txt");
const HASHES_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/determinism/hashes.txt");
/// Number of seeds whose hashes are committed.
const SEEDS: u64 = 1000;
/// With fewer it is not said that everything has happened.
const SEEDS_FOR_ALL: u64 = 100;
const PACKETS: u64 = 400;

/// Counts of all that can happen to a packet.
#[derive(Debug, Default)]
struct Seen {
    outcomes: Vec<PacketOutcome>,
    duplicated: u64,
    corrupted: u64,
    truncated: u64,
    reordered: u64,
    ce_marked: u64,
}

/// FNV-1a, 64 bits.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn text(seed: u64) -> String {
    network(&mut Dice(stream(seed, Direction::Forward, "network")))
}

/// A hash of every record and of every payload that came out, both ways.
fn digest(seed: u64, seen: &mut Seen) -> u64 {
    let text = text(seed);
    let network = NetworkProfile::from_toml_str(&text);
    let network = network.unwrap_or_else(|error| panic!("seed {seed}\n{text}\n{error}"));
    let mut digest = 0xcbf2_9ce4_8422_2325;
    for (direction, profile) in [
        (Direction::Forward, network.forward()),
        (Direction::Reverse, network.reverse()),
    ] {
        let mut link = Link::new(&profile, seed, direction);
        link.keep_records(true);
        let mut dice = Dice(stream(seed, direction, "traffic"));
        let mut now = 0;
        let mut drain = |link: &mut Link, until| {
            while let Some(due) = link.next_wakeup().filter(|due| *due <= until) {
                while let Some(packet) = link.pop(due) {
                    digest = hash(digest, &packet.payload);
                }
            }
        };
        for number in 0..PACKETS {
            now += dice.below(200_000);
            let bytes = dice.between(0, 1472) as usize;
            let (ecn, port) = (dice.below(4) as u8, dice.between(1, 8) as u16);
            let source = SocketAddr::from(([10, 0, 0, 1], port));
            let destination = SocketAddr::from(([10, 0, 0, 2], 9));
            let payload = number
                .to_le_bytes()
                .into_iter()
                .cycle()
                .take(bytes)
                .collect();
            drain(&mut link, Time::from_nanos(now));
            link.push(
                Time::from_nanos(now),
                Packet::new(source, destination, ecn, payload),
            );
        }
        drain(&mut link, Time::MAX);
        let mut records = Vec::new();
        link.take_records(&mut records);
        let mut csv = Vec::new();
        for record in &records {
            record.write_csv(&mut csv).expect("memory takes all");
            if !seen.outcomes.contains(&record.outcome) {
                seen.outcomes.push(record.outcome);
            }
        }
        digest = hash(digest, &csv);
        let counters = link.counters();
        assert_eq!(counters.inside(), 0, "seed {seed}\n{text}");
        seen.duplicated += counters.duplicated;
        seen.corrupted += counters.corrupted;
        seen.truncated += counters.truncated;
        seen.reordered += counters.reordered;
        seen.ce_marked += counters.ce_marked;
    }
    digest
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={value}: expected a number")),
    )
}

#[test]
fn a_seed_gives_the_outcomes_it_always_gave() {
    let mut seen = Seen::default();
    if number("NETEM_BLESS").is_some() {
        let mut file = String::new();
        for seed in 0..SEEDS {
            let _ = writeln!(file, "{:016x}", digest(seed, &mut seen));
        }
        fs::write(HASHES_PATH, file).expect("the file can be written");
        return;
    }
    let seeds = match number("NETEM_DETERMINISM_SEED") {
        Some(seed) => {
            println!("{}", text(seed));
            seed..seed + 1
        }
        None => 0..number("NETEM_DETERMINISM_SEEDS").unwrap_or(SEEDS),
    };
    assert!(seeds.end <= SEEDS, "there are {SEEDS} hashes");
    let expected = HASHES.lines().skip(seeds.start as usize);
    for (seed, expected) in seeds.clone().zip(expected) {
        let found = format!("{:016x}", digest(seed, &mut seen));
        assert_eq!(
            found, expected,
            "seed {seed} has other outcomes. To look at it:\n\
             NETEM_DETERMINISM_SEED={seed} cargo test -p lftp-netem --test determinism -- \
             --nocapture"
        );
    }
    assert_eq!(HASHES.lines().count() as u64, SEEDS);
    if seeds.end - seeds.start < SEEDS_FOR_ALL {
        return;
    }
    // Nothing is proven about what never happened.
    assert_eq!(seen.outcomes.len(), 7, "{seen:?}");
    for count in [
        seen.duplicated,
        seen.corrupted,
        seen.truncated,
        seen.reordered,
        seen.ce_marked,
    ] {
        assert!(count > 100, "{seen:?}");
    }
}

/// Every key has its turn among the first seeds, and every name.
#[test]
fn the_networks_at_random_leave_nothing_out() {
    let all: String = (0..SEEDS_FOR_ALL).map(text).collect();
    let mut words = String::from(
        "mahimahi rate burst peak_rate overhead cell queue ecn_threshold discipline delay jitter \
         jitter_table jitter_distribution jitter_correlation jitter_reorder reorder slots loss \
         loss_position duplicate duplicate_correlation corrupt corrupt_correlation truncate mtu \
         schedule blackout_until pause_until ramp gap correlation ",
    );
    words += "'drop-tail' 'drop-head' 'red' 'codel' 'pie' 'fq-codel' 'dualpi2' 'uniform' \
              'normal' 'pareto' 'paretonormal' 'gilbert-elliott' '4-state' 'correlated' \
              'netem-correlated' 'nth' 'list' 'pattern' 'after-queue' 'before-queue'";
    for word in words.split_whitespace() {
        let quoted = word.starts_with('\'');
        let found = if quoted {
            all.contains(word)
        } else {
            all.contains(&format!("{word} = "))
        };
        assert!(found, "{word}");
    }
}
