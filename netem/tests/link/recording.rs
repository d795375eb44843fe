//! Recordings of random impairments: written, edited, replayed, shrunk.

use lftp_netem::{
    Direction,
    link::Link,
    profile::NetworkProfile,
    record::{PacketOutcome, PacketRecord},
    recording::{ImpairmentEvent, Recording, RecordingEntry},
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
fn a_recording_replays_the_same_whatever_the_seed() {
    for extra in [
        "",
        "jitter_reorder = false",
        "loss_position = 'before-queue'",
    ] {
        let network = format!("{WILD}{extra}");
        let mut first = seeded(&network, 1);
        first.record_events(true);
        let original = once(&mut first);
        let recording: Recording = first.take_events().into_iter().collect();
        let recording: Recording = recording.to_string().parse().unwrap();
        let mut second = seeded(&network, 99);
        second.record_events(true);
        second.replay(&recording);
        assert_eq!(once(&mut second), original);
        let again: Recording = second.take_events().into_iter().collect();
        assert_eq!(again, recording);
    }
}

#[test]
fn a_recording_can_be_written_by_hand() {
    let recording: Recording =
        "forward,0,0,lost\n\nforward, 2, 0, duplicate,\nforward,2,1,cut,9 # copy\n\
                      forward,1,0,delay,1000\nreverse,3,0,lost,\nforward,3,0,flip,99999"
            .parse()
            .unwrap();
    // The model is silenced: what is not in the recording does not happen.
    let mut link = link("delay = '5ms'\nloss = '100%'");
    link.replay(&recording);
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
fn a_line_that_is_no_event_is_named() {
    for row in [
        "forward,1,0,gone",
        "sideways,1,0,lost",
        "forward,1,0,flip,",
        "forward,x,0,lost",
    ] {
        let error = format!("# by hand\n{row}")
            .parse::<Recording>()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 2") && error.contains("lost-burst"),
            "{error}"
        );
    }
}

fn lost(index: u64) -> RecordingEntry {
    RecordingEntry {
        direction: Direction::Forward,
        index,
        copy: false,
        event: ImpairmentEvent::Lost,
    }
}

proptest! {
    /// Whichever entries are to blame together, exactly those are left.
    #[test]
    fn shrinking_finds_the_entries_to_blame(
        guilty in proptest::collection::btree_set(0u64..200, 0..6),
    ) {
        let recording: Recording = (0..200).map(lost).collect();
        let wanted: Recording = guilty.iter().copied().map(lost).collect();
        let fails = |recording: &Recording| wanted.entries().iter().all(|e| recording.entries().contains(e));
        prop_assert_eq!(recording.shrink(fails), Some(wanted.clone()));
    }
}

#[test]
fn a_run_that_does_not_fail_is_not_shrunk() {
    let recording: Recording = (0..5).map(lost).collect();
    assert_eq!(recording.shrink(|_| false), None);
}

#[test]
fn a_failure_of_a_run_is_shrunk_to_the_losses_that_cause_it() {
    // "It fails" when two packets in a row are lost.
    let profile = NetworkProfile::from_toml_str("loss = '30%'")
        .unwrap()
        .forward();
    let mut first = Link::new(&profile, 7, Direction::Forward);
    first.record_events(true);
    once(&mut first);
    let recording: Recording = first.take_events().into_iter().collect();
    let fails = |recording: &Recording| {
        let mut link = link("delay = '1ms'");
        link.replay(recording);
        run(
            &mut link,
            (0..200).map(|index| (at(index * 1000), packet(index, 100))),
        );
        let mut records = records(&mut link);
        records.sort_by_key(|record| record.index);
        records.windows(2).any(|pair| {
            pair.iter()
                .all(|record| record.outcome == PacketOutcome::LostWire)
        })
    };
    let least = recording.shrink(fails).unwrap();
    let indices: Vec<u64> = least.entries().iter().map(|entry| entry.index).collect();
    assert_eq!(indices.len(), 2);
    assert_eq!(indices[0] + 1, indices[1]);
}
