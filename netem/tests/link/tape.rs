//! The fate tape: written, edited, done again, shrunk.

use lftp_netem::{
    Direction,
    link::Link,
    profile::NetworkProfile,
    record::{Fate, PacketRecord},
    tape::{Tape, TapeEntry, TapedFate},
};
use proptest::prelude::*;

use super::{at, link, packet, records, run, seeded};

const WILD: &str = "rate = '8mbit'\nqueue = '20p'\ndelay = '20ms'\njitter = '5ms'\n\
    jitter_distribution = 'normal'\njitter_correlation = '50%'\ntruncate = '3%'\n\
    loss = { model = 'gilbert-elliott', mean = '5%', burst = '3p' }\nduplicate = '4%'\n\
    corrupt = '3%'\nreorder = { probability = '5%', delay = '9ms' }\n";

fn once(link: &mut Link) -> Vec<PacketRecord> {
    run(
        link,
        (0..2000).map(|index| (at(index * 90_000), packet(index, 100))),
    );
    records(link)
}

#[test]
fn a_tape_does_the_same_again_whatever_the_seed() {
    for extra in [
        "",
        "jitter_reorder = false",
        "loss_position = 'before-queue'",
    ] {
        let network = format!("{WILD}{extra}");
        let mut first = seeded(&network, 1);
        first.set_taping(true);
        let original = once(&mut first);
        let tape: Tape = first.take_taped().into_iter().collect();
        let tape: Tape = tape.to_string().parse().unwrap();
        let mut second = seeded(&network, 99);
        second.set_taping(true);
        second.set_tape(&tape);
        assert_eq!(once(&mut second), original);
        let again: Tape = second.take_taped().into_iter().collect();
        assert_eq!(again, tape);
    }
}

#[test]
fn a_tape_can_be_written_by_hand() {
    let tape: Tape = "forward,0,0,lost\n\nforward, 2, 0, duplicate,\nforward,2,1,cut,9 # copy\n\
                      forward,1,0,delay,1000\nreverse,3,0,lost,\nforward,3,0,flip,99999"
        .parse()
        .unwrap();
    // The model is silenced: what is not on the tape does not happen.
    let mut link = link("delay = '5ms'\nloss = '100%'");
    link.set_tape(&tape);
    let out = run(&mut link, (0..4).map(|index| (at(0), packet(index, 100))));
    let out: Vec<_> = out
        .iter()
        .map(|(time, packet)| (time.as_nanos(), super::number(packet), packet.payload.len()))
        .take(2)
        .collect();
    assert_eq!(out, [(1000, 1, 72), (5_000_000, 2, 72)]);
    let counters = link.counters();
    assert_eq!(
        (counters.delivered, counters.truncated, counters.corrupted),
        (4, 1, 0)
    );
}

#[test]
fn a_line_that_is_no_fate_is_named() {
    for row in [
        "forward,1,0,gone",
        "sideways,1,0,lost",
        "forward,1,0,flip,",
        "forward,x,0,lost",
    ] {
        let error = format!("# by hand\n{row}")
            .parse::<Tape>()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 2") && error.contains("lost-burst"),
            "{error}"
        );
    }
}

fn lost(index: u64) -> TapeEntry {
    TapeEntry {
        direction: Direction::Forward,
        index,
        copy: false,
        fate: TapedFate::Lost,
    }
}

proptest! {
    /// Whichever entries are to blame together, exactly those are left.
    #[test]
    fn shrinking_finds_the_entries_to_blame(
        guilty in proptest::collection::btree_set(0u64..200, 0..6),
    ) {
        let tape: Tape = (0..200).map(lost).collect();
        let wanted: Tape = guilty.iter().copied().map(lost).collect();
        let fails = |tape: &Tape| wanted.entries().iter().all(|e| tape.entries().contains(e));
        prop_assert_eq!(tape.shrink(fails), Some(wanted.clone()));
    }
}

#[test]
fn a_run_that_does_not_fail_is_not_shrunk() {
    let tape: Tape = (0..5).map(lost).collect();
    assert_eq!(tape.shrink(|_| false), None);
}

#[test]
fn a_failure_of_a_run_is_shrunk_to_the_losses_that_cause_it() {
    // "It fails" when two packets in a row are lost.
    let profile = NetworkProfile::from_toml_str("loss = '30%'")
        .unwrap()
        .forward();
    let mut first = Link::new(&profile, 7, Direction::Forward);
    first.set_taping(true);
    once(&mut first);
    let tape: Tape = first.take_taped().into_iter().collect();
    let fails = |tape: &Tape| {
        let mut link = link("delay = '1ms'");
        link.set_tape(tape);
        run(
            &mut link,
            (0..200).map(|index| (at(index * 1000), packet(index, 100))),
        );
        let mut records = records(&mut link);
        records.sort_by_key(|record| record.index);
        records
            .windows(2)
            .any(|pair| pair.iter().all(|record| record.fate == Fate::LostWire))
    };
    let least = tape.shrink(fails).unwrap();
    let indices: Vec<u64> = least.entries().iter().map(|entry| entry.index).collect();
    assert_eq!(indices.len(), 2);
    assert_eq!(indices[0] + 1, indices[1]);
}
