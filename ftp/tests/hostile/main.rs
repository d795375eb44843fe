//! A hostile peer, client and server, against an honest server and an honest client.
//!
//! The hostile side speaks the wire without any of our code: [`wire`], [`keys`] and [`peer`] are
//! written from `docs/PROTOCOL.md`, on top of `snow` and of hash and cipher libraries. It has valid
//! keys, completes handshakes, and then lies: [`chaos`] makes frames, packets and messages that are
//! mutated, reordered, oversized, truncated, repeated or in contradiction to each other;
//! [`against_server`] and [`against_client`] are the acts in which it does so. Everything happens
//! in virtual time and follows from a seed.
//!
//! More seeds, or one of them again:
//!
//! ```text
//! LFTP_HOSTILE_SEEDS=1..=2000 cargo test -p lftp-ftp --all-features --test hostile -- --nocapture
//! ```

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "numbers that are cut are as hostile as others"
)]

mod against_client;
mod against_server;
mod chaos;
mod dice;
mod honest;
mod keys;
mod measure;
mod peer;
mod reasons;
mod wire;

use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::peer::Tally;

/// Seeds without a wish for others: what a run of all tests has time for.
const SEEDS: RangeInclusive<u64> = 1..=12;

/// One test at a time: the memory of this process is measured.
static ALONE: Mutex<()> = Mutex::new(());

fn seeds() -> RangeInclusive<u64> {
    let Ok(wish) = std::env::var("LFTP_HOSTILE_SEEDS") else {
        return SEEDS;
    };
    let (first, last) = wish.split_once("..=").unwrap_or((&wish, &wish));
    first.parse().expect("a seed")..=last.parse().expect("a seed")
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long the seeds take, for the reader"
)]
fn now() -> Instant {
    Instant::now()
}

/// Runs every seed, and says how to run the one that failed again.
fn for_each_seed(test: &str, run: fn(u64) -> Tally) {
    let _alone = ALONE.lock().unwrap_or_else(|poison| poison.into_inner());
    let (started, mut tally, mut count) = (now(), Tally::default(), 0);
    for seed in seeds() {
        match catch_unwind(AssertUnwindSafe(|| run(seed))) {
            Ok(of_seed) => tally.add(of_seed),
            Err(panic) => {
                eprintln!(
                    "seed {seed} failed; again: LFTP_HOSTILE_SEEDS={seed} cargo test -p lftp-ftp \
                     --all-features --test hostile {test} -- --nocapture"
                );
                resume_unwind(panic);
            }
        }
        count += 1;
        if count % 100 == 0 {
            println!("{test}: {count} seeds, up to {seed}, without a failure");
        }
    }
    println!(
        "{test}: {count} seeds, {} connections, {} transfers, {} packets of {} B, {} mutations; \
         back {} packets of {} B; at most {} KiB of memory; {:?}",
        tally.connections,
        tally.transfers,
        tally.packets,
        tally.bytes,
        tally.mutations,
        tally.packets_back,
        tally.bytes_back,
        tally.peak_bytes >> 10,
        Duration::from_millis(started.elapsed().as_millis() as u64),
    );
}

#[test]
fn a_server_outlives_hostile_clients_and_serves_the_honest_one() {
    for_each_seed(
        "a_server_outlives_hostile_clients_and_serves_the_honest_one",
        honest::server_among_hostile_clients,
    );
}

#[test]
fn a_client_outlives_a_hostile_server_and_keeps_no_wrong_file() {
    for_each_seed(
        "a_client_outlives_a_hostile_server_and_keeps_no_wrong_file",
        honest::client_of_a_hostile_server,
    );
}

#[test]
fn a_flood_from_many_addresses_gets_less_back_than_three_times_what_it_sends() {
    for_each_seed(
        "a_flood_from_many_addresses_gets_less_back_than_three_times_what_it_sends",
        honest::server_in_a_flood,
    );
}
