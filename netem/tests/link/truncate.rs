//! Truncation.

use super::{
    at, link, packet, run,
    statistics::{HITS, share_is},
};

#[test]
fn truncation_is_as_frequent_as_asked_and_takes_at_least_a_byte() {
    let mut link = link("truncate = '4%'");
    let out = run(
        &mut link,
        (0..HITS).map(|index| (at(index), packet(index, 68))),
    );
    let cut: Vec<usize> = out
        .iter()
        .map(|(_, packet)| packet.payload.len())
        .filter(|bytes| *bytes < 40)
        .collect();
    share_is(cut.len() as u64, HITS, 0.04);
    assert_eq!(link.counters().truncated, cut.len() as u64);
    for bytes in [0, 39] {
        let count = cut.iter().filter(|cut| **cut == bytes).count() as u64;
        share_is(count, cut.len() as u64, 1.0 / 40.0);
    }
}
