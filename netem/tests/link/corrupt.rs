//! Corruption.

use super::{
    at, link, packet, run,
    statistics::{HITS, follows, hits, share_is},
};

#[test]
fn corruption_is_as_frequent_as_asked_and_flips_one_bit() {
    let mut link = link("corrupt = '2%'");
    let sent = |index| packet(index, 28 + 16);
    let out = run(
        &mut link,
        (0..200_000).map(|index| (at(index), sent(index))),
    );
    let mut hits = [0; 16 * 8];
    let mut corrupted = 0;
    for (index, (_, got)) in (0..).zip(&out) {
        let want = sent(index).payload;
        let differ = want.iter().zip(&got.payload).map(|(a, b)| a ^ b);
        let flipped: Vec<_> = (0..).zip(differ).filter(|(_, bits)| *bits != 0).collect();
        if let [(byte, bits)] = flipped[..] {
            assert_eq!(bits.count_ones(), 1);
            hits[byte * 8 + bits.trailing_zeros() as usize] += 1;
            corrupted += 1;
        } else {
            assert!(flipped.is_empty());
        }
    }
    assert_eq!(corrupted, link.counters().corrupted);
    share_is(corrupted, 200_000, 0.02);
    assert!(
        hits.iter().all(|hits| *hits > 0),
        "every bit is hit at some time"
    );
}

#[test]
fn a_corrupted_packet_makes_another_likely() {
    let corrupted = hits("corrupt = '5%'\ncorrupt_correlation = '60%'", |record| {
        record.corrupted
    });
    follows(&corrupted, 0.05 + 0.6 * 0.95);
    let share = corrupted.iter().filter(|hit| **hit).count() as f64 / HITS as f64;
    assert!((share - 0.05).abs() < 0.004, "{share}");
}
