//! Networks that change: steps, ramps, pauses, blackouts, and traces read from CSV.

use lftp_netem::{
    profile::{NetworkProfile, ScheduleStep},
    record::PacketOutcome,
};

use super::{at, link, records, run, steady, times};

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
    let blackout =
        |record: &lftp_netem::record::PacketRecord| record.outcome == PacketOutcome::Blackout;
    let lost: Vec<_> = records.iter().filter(|record| blackout(record)).collect();
    let lost: Vec<_> = lost.iter().map(|record| record.index).collect();
    assert_eq!(lost, [3, 4, 5]);
    assert_eq!(link.counters().blackout_drops, 3);
}

#[test]
fn a_queue_keeps_sending_in_a_blackout() {
    let mut link = link("rate = '8mbit'\n[[schedule]]\nat = '2.5ms'\nblackout_until = '4.5ms'");
    let out = run(&mut link, steady(6, 0));
    let due: Vec<_> = out.iter().map(|(due, _)| *due).collect();
    assert_eq!(due, [MS, 2 * MS, 5 * MS, 6 * MS].map(at));
}

#[test]
fn loss_changes_when_it_should_and_the_samples_do_not() {
    let lost = |network: &str| {
        let mut link = link(network);
        run(&mut link, steady(1000, MS));
        let records = records(&mut link);
        let lost = records
            .iter()
            .filter(|record| record.outcome == PacketOutcome::LostWire);
        lost.map(|record| record.index).collect::<Vec<_>>()
    };
    let always = lost("loss = '30%'");
    let later = lost("[[schedule]]\nat = '500ms'\nloss = '30%'");
    let expected: Vec<_> = always.into_iter().filter(|index| *index >= 500).collect();
    assert_eq!(later, expected);
}

#[test]
fn a_ramp_goes_evenly_from_what_was_to_what_shall_be() {
    let network = NetworkProfile::from_toml_str(
        "rate = '10mbit'\ndelay = '10ms'\n[[schedule]]\nat = '1s'\nrate = '20mbit'\n\
         delay = '30ms'\nramp = '1s'\nloss = '5%'",
    );
    let forward = network.unwrap().forward();
    let at = |ms: u64| forward.phase_at(ms * MS).clone();
    assert_eq!(forward.rate_bps_at(999 * MS), Some(10_000_000));
    assert_eq!(
        (at(1500).rate.unwrap().bps(), at(1500).delay_ns),
        (15_000_000, 20 * MS)
    );
    assert_eq!(
        (at(2000).rate.unwrap().bps(), at(2000).delay_ns),
        (20_000_000, 30 * MS)
    );
    assert_eq!(at(1000).loss_mean().fraction(), 0.05);
    assert!(
        forward
            .phases()
            .windows(2)
            .all(|pair| pair[0].rate <= pair[1].rate)
    );
}

#[test]
fn in_a_pause_packets_wait_and_none_is_lost() {
    let network = "rate = '8mbit'\nqueue = '10p'\n\
                   [[schedule]]\nat = '1500us'\npause_until = '10ms'";
    // The second is half sent when the pause begins.
    let out = times(network, &[(0, 1000), (0, 1000), (2 * MS, 1000)]);
    assert_eq!(out, [MS, 10 * MS + MS / 2, 11 * MS + MS / 2]);
    let bucket = format!("burst = '1500B'\n{network}");
    let out = times(&bucket, &[(5 * MS, 1000), (5 * MS, 1000)]);
    assert_eq!(out[0], 10 * MS);
    assert!(out[1] <= 10 * MS + MS / 2, "{out:?}");
}

#[test]
fn a_handover_is_a_pause_and_another_cell() {
    let network = "rate = '8mbit'\ndelay = '5ms'\nqueue = '10p'\n\
                   [[schedule]]\nat = '1ms'\npause_until = '3ms'\n\
                   [[schedule]]\nat = '3ms'\nrate = '80mbit'\ndelay = '1ms'";
    assert_eq!(times(network, &[(2 * MS, 1000)]), [3 * MS + MS / 10 + MS]);
}

#[test]
fn a_schedule_is_read_from_csv() {
    let steps = ScheduleStep::from_csv(
        "# a drive\nat_ms,rate_kbit,delay,loss_percent\n\n0,1500,20ms,\n250.5,,30ms,2.5\n",
    );
    let mut network = NetworkProfile::default();
    network.schedule = Some(steps.unwrap());
    let forward = network.forward();
    let late = forward.phase_at(251 * MS);
    assert_eq!(forward.rate_bps(), Some(1_500_000));
    assert_eq!((late.from_ns, late.delay_ns), (250_500_000, 30 * MS));
    assert_eq!(
        (late.rate, late.loss_mean().to_string()),
        (forward.phase_at(0).rate, "2.5%".into())
    );
    for (text, words) in [
        ("", "line 1: expected columns"),
        ("at_ms,speed\n", "line 1: expected columns"),
        ("at_ms,rate\n1,5mbit\n2,5", "line 3: \"5\" has no unit"),
        ("at_ms,rate_bit\n2,1\n1,1", "line 3: 1ms comes after 2ms"),
        ("at_ms,rate_bit\n2", "line 2: expected 2 fields"),
    ] {
        let error = ScheduleStep::from_csv(text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn an_impossible_schedule_is_refused() {
    for (network, words) in [
        (
            "[[schedule]]\nat = '1s'\nloss = '1%'\nramp = '1s'",
            "without a target",
        ),
        (
            "[[schedule]]\nat = '1s'\ndelay = '1ms'\nramp = '2s'\n[[schedule]]\nat = '2s'\n\
             loss = '1%'",
            "not over",
        ),
        (
            "rate = '1mbit'\n[[schedule]]\nat = '2s'\npause_until = '1s'",
            "before it begins",
        ),
        (
            "[[schedule]]\nat = '2s'\npause_until = '3s'",
            "needs a rate",
        ),
    ] {
        let error = NetworkProfile::from_toml_str(network)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
}
