//! Networks that change.

use lftp_netem::record::Fate;

use super::{at, link, records, run, steady};

const MS: u64 = 1_000_000;

#[test]
fn a_packet_half_sent_is_finished_at_the_new_rate() {
    let mut link = link("rate = '8mbit'\n[[schedule]]\nat = '0.25ms'\nrate = '80mbit'");
    let out = run(&mut link, steady(2, 0));
    // A quarter of the first at 8 Mbit/s, the rest ten times as fast.
    let due: Vec<_> = out.iter().map(|(due, _)| due.as_nanos()).collect();
    assert_eq!(due, [325_000, 425_000]);
}

#[test]
fn a_link_gets_a_bottleneck_later() {
    let mut link = link("[[schedule]]\nat = '2ms'\nrate = '8mbit'\n");
    let out = run(&mut link, steady(4, MS));
    let due: Vec<_> = out.iter().map(|(due, _)| due.as_nanos()).collect();
    assert_eq!(due, [0, MS, 3 * MS, 4 * MS]);
}

#[test]
fn a_blackout_takes_what_comes_to_the_wire_and_leaves_what_is_on_it() {
    let mut link = link("delay = '5ms'\n[[schedule]]\nat = '3ms'\nblackout_until = '6ms'");
    run(&mut link, steady(10, MS));
    let mut records = records(&mut link);
    records.sort_by_key(|record| record.index);
    let blackout = |record: &lftp_netem::record::PacketRecord| record.fate == Fate::Blackout;
    let lost: Vec<_> = records.iter().filter(|record| blackout(record)).collect();
    let lost: Vec<_> = lost.iter().map(|record| record.index).collect();
    assert_eq!(lost, [3, 4, 5]);
    assert_eq!(link.counters().blackout_drops, 3);
}

#[test]
fn a_queue_goes_on_sending_in_a_blackout() {
    let mut link = link("rate = '8mbit'\n[[schedule]]\nat = '2.5ms'\nblackout_until = '4.5ms'");
    let out = run(&mut link, steady(6, 0));
    let due: Vec<_> = out.iter().map(|(due, _)| *due).collect();
    assert_eq!(due, [MS, 2 * MS, 5 * MS, 6 * MS].map(at));
}

#[test]
fn loss_changes_when_it_should_and_the_draws_do_not() {
    let lost = |network: &str| {
        let mut link = link(network);
        run(&mut link, steady(1000, MS));
        let records = records(&mut link);
        let lost = records
            .iter()
            .filter(|record| record.fate == Fate::LostWire);
        lost.map(|record| record.index).collect::<Vec<_>>()
    };
    let always = lost("loss = '30%'");
    let later = lost("[[schedule]]\nat = '500ms'\nloss = '30%'");
    let expected: Vec<_> = always.into_iter().filter(|index| *index >= 500).collect();
    assert_eq!(later, expected);
}
