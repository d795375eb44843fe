//! The link against a reference of `sch_netem`'s formulas, with the same random numbers: equal
//! sample by sample, unless a test says that only the distributions are.
//!
//! Where they differ on purpose: the link has an addressed sample for every packet, the kernel one
//! stream from which a sample is taken when it is needed; a number that the kernel compares with
//! 2³²-1 parts is compared with 2³² here, which is another in one sample of 2³¹; correlated
//! duplication, corruption, reordering and jitter keep their share and distribution here, so
//! only loss has a mode that is the kernel's (`netem-correlated`).

mod sch_netem;

use std::net::SocketAddr;

use lftp_netem::{
    Direction, Time,
    link::Link,
    packet::Packet,
    profile::NetworkProfile,
    record::{PacketOutcome, PacketRecord},
    rng::stream,
};
use rand::Rng;
use sch_netem::{Crandom, FourState, GilbertElliott, Rated, Reorder, event, percent};

const PACKETS: u64 = 100_000;
const SEEDS: [u64; 3] = [1, 2, 0xfeed];

fn link(network: &str, seed: u64) -> Link {
    let profile = NetworkProfile::from_toml_str(network).unwrap_or_else(|error| panic!("{error}"));
    let mut link = Link::new(&profile.forward(), seed, Direction::Forward);
    link.keep_records(true);
    link
}

fn packet(link_bytes: u64) -> Packet {
    let address = SocketAddr::from(([10, 0, 0, 1], 9));
    Packet::new(address, address, 0, vec![0; link_bytes as usize - 28])
}

/// The records of packets that come a microsecond apart, by index; copies are left out.
fn records(network: &str, seed: u64) -> Vec<PacketRecord> {
    let mut link = link(network, seed);
    let mut records = Vec::new();
    for index in 0..PACKETS {
        link.push(Time::from_nanos(index * 1000), packet(100));
    }
    while let Some(due) = link.next_wakeup() {
        while link.pop(due).is_some() {}
    }
    link.take_records(&mut records);
    records.sort_by_key(|record| (record.index, record.duplicate));
    records
}

/// Returns for each packet whether it is lost.
fn lost(network: &str, seed: u64) -> Vec<bool> {
    let records = records(network, seed);
    records
        .iter()
        .map(|record| record.outcome != PacketOutcome::Delivered)
        .collect()
}

/// Returns the samples of an impairment, one of 64 bits for each packet.
fn samples(seed: u64, impairment: &str) -> impl Iterator<Item = u64> {
    let mut rng = stream(seed, Direction::Forward, impairment);
    (0..PACKETS).map(move |_| rng.next_u64())
}

/// Returns the upper halves of the samples of an impairment.
fn high(seed: u64, impairment: &str) -> impl Iterator<Item = u32> {
    samples(seed, impairment).map(|sample| (sample >> 32) as u32)
}

/// The same for each packet, with something happening to some.
fn same(found: &[bool], expected: impl Iterator<Item = bool>) {
    let expected: Vec<bool> = expected.collect();
    assert!(expected.contains(&true) && expected.contains(&false));
    let first = found.iter().zip(&expected).position(|(a, b)| a != b);
    assert_eq!(first, None, "the first packet that differs");
    assert_eq!(found.len(), expected.len());
}

#[test]
fn independent_loss_is_the_kernels() {
    for seed in SEEDS {
        for share in [0.1, 1.0, 33.0, 99.5] {
            let found = lost(&format!("loss = '{share}%'"), seed);
            let loss = percent(share);
            same(&found, high(seed, "loss").map(|random| event(loss, random)));
        }
    }
}

#[test]
fn netem_correlated_loss_is_the_kernels() {
    for seed in SEEDS {
        for (share, correlation) in [(10.0, 25.0), (30.0, 50.0), (40.0, 75.0), (20.0, 0.0)] {
            let found = lost(
                &format!(
                    "loss = {{ model = 'netem-correlated', probability = '{share}%', \
                     correlation = '{correlation}%' }}"
                ),
                seed,
            );
            let mut state = Crandom::new(percent(correlation));
            let loss = percent(share);
            let expected = high(seed, "loss").map(|random| event(loss, state.get(random)));
            same(&found, expected);
        }
    }
}

#[test]
fn the_example_of_the_manual_loses_nothing_in_either() {
    let network =
        "loss = { model = 'netem-correlated', probability = '0.3%', correlation = '25%' }";
    assert!(!lost(network, 1).contains(&true));
    let mut state = Crandom::new(percent(25.0));
    let loss = percent(0.3);
    assert!(!high(1, "loss").any(|random| event(loss, state.get(random))));
}

#[test]
fn four_state_loss_is_the_kernels() {
    for seed in SEEDS {
        for [p13, p31, p32, p23, p14] in [
            [1.0, 20.0, 30.0, 40.0, 0.5],
            [5.0, 95.0, 0.0, 100.0, 0.0],
            [30.0, 10.0, 60.0, 5.0, 50.0],
        ] {
            let found = lost(
                &format!(
                    "loss = {{ model = '4-state', p13 = '{p13}%', p31 = '{p31}%', \
                     p32 = '{p32}%', p23 = '{p23}%', p14 = '{p14}%' }}"
                ),
                seed,
            );
            let mut state = FourState {
                p13: percent(p13),
                p31: percent(p31),
                p32: percent(p32),
                p23: percent(p23),
                p14: percent(p14),
                state: 1,
            };
            same(&found, high(seed, "loss").map(|random| state.loses(random)));
        }
    }
}

#[test]
fn gilbert_elliott_loss_is_the_kernels() {
    for seed in SEEDS {
        for [p, r, bad, good] in [
            [1.0, 10.0, 70.0, 0.1],
            [2.0, 98.0, 100.0, 0.0],
            [50.0, 50.0, 20.0, 10.0],
        ] {
            let found = lost(
                &format!(
                    "loss = {{ model = 'gilbert-elliott', p = '{p}%', r = '{r}%', \
                     1-h = '{bad}%', 1-k = '{good}%' }}"
                ),
                seed,
            );
            let mut state = GilbertElliott {
                p: percent(p),
                r: percent(r),
                // tc takes 1-h and passes h to the kernel.
                h: u32::MAX - percent(bad),
                one_minus_k: percent(good),
                bad: false,
            };
            // The link takes both of the kernel's samples from one of 64 bits. In the bad state
            // the kernel loses on large numbers, the link on small ones: it sees them mirrored.
            let expected = samples(seed, "loss").map(|sample| {
                let (change, loss) = (sample as u32, (sample >> 32) as u32);
                let loss = if state.bad { !loss } else { loss };
                state.loses(change, loss)
            });
            same(&found, expected);
        }
    }
}

#[test]
fn duplication_and_corruption_befall_whom_the_kernel_lets_them() {
    for seed in SEEDS {
        let share = percent(3.0);
        let records = records("duplicate = '3%'", seed);
        let mut found = vec![false; PACKETS as usize];
        for record in records.iter().filter(|record| record.duplicate) {
            found[record.index as usize] = true;
        }
        same(
            &found,
            high(seed, "duplicate").map(|random| event(share, random)),
        );
    }
    for seed in SEEDS {
        let share = percent(3.0);
        let records = records("corrupt = '3%'", seed);
        let found: Vec<_> = records.iter().map(|record| record.corrupted).collect();
        // The kernel takes the bit from a generator that no seed covers.
        same(
            &found,
            high(seed, "corrupt").map(|random| event(share, random)),
        );
    }
}

#[test]
fn packets_are_sent_ahead_as_the_kernel_sends_them() {
    for seed in SEEDS {
        for (share, gap) in [(25.0, 1), (25.0, 5), (100.0, 5), (1.0, 20)] {
            let network =
                format!("delay = '10ms'\nreorder = {{ probability = '{share}%', gap = {gap} }}");
            let records = records(&network, seed);
            let found: Vec<_> = records
                .iter()
                .map(|record| record.delay_ns() == Some(0))
                .collect();
            let mut state = Reorder {
                gap,
                probability: percent(share),
                counter: 0,
            };
            same(
                &found,
                high(seed, "reorder").map(|random| state.ahead(random)),
            );
        }
    }
}

#[test]
fn an_entry_of_a_table_means_what_it_means_to_the_kernel() {
    let table: Vec<i16> = (0..4096_i32)
        .map(|entry| (entry * 16 - 32_768) as i16)
        .collect();
    let text = table
        .iter()
        .map(i16::to_string)
        .collect::<Vec<_>>()
        .join(" ");
    for sigma in [1_i32, 8191, 8192, 1_234_567, 5_000_000] {
        let network = format!("delay = '50ms'\njitter = '{sigma}ns'\njitter_table = '{text}'");
        for (record, sample) in records(&network, 7).iter().zip(samples(7, "jitter")) {
            // The kernel takes the lower digits of 32 bits, the link the upper ones of 64.
            let place = (u128::from(sample) * table.len() as u128) >> 64;
            let entry = table[place as usize];
            let expected = sch_netem::tabledist(50_000_000, sigma, entry);
            let found = record.delay_ns().unwrap_or(0) as i64;
            // Halves below zero are rounded away from it by the kernel, up by the link.
            let half = i64::from(sigma) * i64::from(entry) % 8192 == -4096;
            assert_eq!(found - expected, i64::from(half), "{sigma} {entry}");
        }
    }
}

/// The largest distance between two samples' distribution functions, times `√(n/2)`.
fn kolmogorov(mut a: Vec<i64>, mut b: Vec<i64>) -> f64 {
    a.sort_unstable();
    b.sort_unstable();
    let share = |sample: &[i64], at: i64| {
        sample.partition_point(|value| *value <= at) as f64 / sample.len() as f64
    };
    let distances = a
        .iter()
        .chain(&b)
        .map(|at| (share(&a, *at) - share(&b, *at)).abs());
    distances.fold(0.0, f64::max) * (a.len() as f64 / 2.0).sqrt()
}

/// Kolmogorov's distribution is below this with a probability of 99.9 %.
const KOLMOGOROV: f64 = 1.9495;

fn normal(share: f64) -> f64 {
    let (mut low, mut high) = (-10.0, 10.0);
    for _ in 0..50 {
        let middle: f64 = (low + high) / 2.0;
        if 0.5 * libm::erfc(-middle / std::f64::consts::SQRT_2) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// A table such as iproute2's: every fourth of 16384 quantiles, cut to 16 bits.
fn table(quantile: impl Fn(f64) -> f64) -> Vec<i16> {
    let value = |place: u32| quantile((f64::from(place * 4) + 0.5) / 16384.0) * 8192.0;
    (0..4096).map(|place| value(place).round() as i16).collect()
}

/// Equal in distribution: the link computes what the kernel looks up.
#[test]
fn jitter_is_distributed_as_the_kernels() {
    let pareto = |share: f64| ((1.0 - share).powf(-1.0 / 3.0) - 1.5) * 4.0 / 3.0;
    let mixed = |share| (normal(share) + 3.0 * pareto(share).min(32767.0 / 8192.0)) / 4.0;
    let (mu, sigma) = (50_000_000, 5_000_000);
    let tables = [
        ("uniform", None),
        ("normal", Some(table(normal))),
        ("pareto", Some(table(pareto))),
        ("paretonormal", Some(table(mixed))),
    ];
    for (name, table) in tables {
        let network = format!("delay = '50ms'\njitter = '5ms'\njitter_distribution = '{name}'");
        let found = records(&network, 1);
        let found = found
            .iter()
            .map(|record| record.delay_ns().unwrap_or(0) as i64);
        let expected = high(99, "the kernel's").map(|random| match &table {
            None => sch_netem::uniform(mu, sigma, random),
            Some(table) => {
                let entry = table[random as usize % table.len()];
                sch_netem::tabledist(mu, sigma as i32, entry)
            }
        });
        let distance = kolmogorov(found.collect(), expected.collect());
        assert!(distance <= KOLMOGOROV, "{name}: {distance}");
    }
}

/// Sizes, and how far apart packets are, without a pattern.
fn arrivals(count: usize) -> Vec<(u64, u64)> {
    let mut rng = stream(1, Direction::Forward, "arrivals");
    let mut now = 0;
    let next = |_| {
        now += u64::from(rng.next_u32()) % 2_000_000;
        (now, 40 + u64::from(rng.next_u32()) % 1461)
    };
    (0..count).map(next).collect()
}

#[test]
fn a_packet_takes_as_long_to_send_as_in_the_kernel() {
    for (overhead, cell, cell_overhead) in [(0, 0, 0), (24, 0, 0), (-14, 0, 0), (8, 48, 5)] {
        for (text, bytes_per_second) in [("8mbit", 1_000_000), ("12345672bit", 1_543_209)] {
            for (_, link_bytes) in arrivals(200) {
                let mut network = format!("rate = '{text}'\noverhead = '{overhead}B'");
                if cell > 0 {
                    network += &format!("\ncell = '{cell}B'\ncell_overhead = '{cell_overhead}B'");
                }
                let mut link = link(&network, 1);
                link.push(Time::ZERO, packet(link_bytes));
                let expected = sch_netem::packet_time_ns(
                    link_bytes,
                    overhead,
                    (cell, cell_overhead),
                    bytes_per_second,
                );
                assert_eq!(link.next_wakeup(), Some(Time::from_nanos(expected)));
            }
        }
    }
}

/// The kernel serialises behind the delay and the link before it; with a fixed delay that is
/// the same.
#[test]
fn with_a_rate_and_a_delay_each_packet_leaves_when_the_kernel_sends_it() {
    let network = "rate = '8mbit'\ndelay = '5ms'\nqueue = '100000p'";
    let mut link = link(network, 1);
    let mut reference = Rated::default();
    let mut expected = Vec::new();
    for (now, link_bytes) in arrivals(10_000) {
        link.push(Time::from_nanos(now), packet(link_bytes));
        let packet_ns = sch_netem::packet_time_ns(link_bytes, 0, (0, 0), 1_000_000);
        expected.push(reference.time_to_send(now, 5_000_000, packet_ns));
    }
    let mut found = Vec::new();
    while let Some(due) = link.next_wakeup() {
        while link.pop(due).is_some() {
            found.push(due.as_nanos());
        }
    }
    assert_eq!(found, expected);
}

/// The kernel forgets the fraction of a nanosecond of each packet, the link does not.
#[test]
fn the_link_is_slower_than_the_kernel_by_the_fractions_it_drops() {
    let network = "rate = '7gbit'\nqueue = '100000p'";
    let mut link = link(network, 1);
    let mut kernel = 0;
    for count in 1..=1000 {
        link.push(Time::ZERO, packet(1001));
        kernel += sch_netem::packet_time_ns(1001, 0, (0, 0), 875_000_000);
        let exact = 1001_u128 * count * 8_000_000_000 / 7_000_000_000;
        assert!(u128::from(kernel) <= exact && exact - u128::from(kernel) <= count);
    }
    let mut last = 0;
    while let Some(due) = link.next_wakeup() {
        while link.pop(due).is_some() {
            last = due.as_nanos();
        }
    }
    assert_eq!(u128::from(last), 1001_u128 * 1000 * 8 / 7);
}
