//! Ramps, pauses, slots and recorded courses.

use lftp_netem::profile::{NetworkProfile, ScheduleStep};

use super::{at, link, packet, run};

const MS: u64 = 1_000_000;

fn times(network: &str, packets: &[(u64, u64)]) -> Vec<u64> {
    let packets = (0..)
        .zip(packets)
        .map(|(number, (ns, bytes))| (at(*ns), packet(number, *bytes)));
    run(&mut link(network), packets)
        .iter()
        .map(|(time, _)| time.as_nanos())
        .collect()
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
fn slots_take_batches() {
    let network = "delay = '1ms'\nslots = { min = '4ms', max = '4ms', packets = 2 }";
    let out = times(
        network,
        &[
            (0, 100),
            (MS, 100),
            (2 * MS, 100),
            (3 * MS, 100),
            (4 * MS, 100),
        ],
    );
    assert_eq!(
        out.iter().map(|ns| ns / MS).collect::<Vec<_>>(),
        [5, 5, 9, 9, 13]
    );
    let bytes = "slots = { min = '4ms', max = '4ms', bytes = '1000B' }";
    let out = times(bytes, &[(1, 900), (1, 200), (1, 1400), (1, 50)]);
    assert_eq!(
        out.iter().map(|ns| ns / MS).collect::<Vec<_>>(),
        [4, 8, 12, 16]
    );
}

#[test]
fn slots_lie_randomly_between_their_bounds() {
    let network = "slots = { min = '2ms', max = '6ms', packets = 1 }";
    let out = times(network, &[(0, 100); 10_000]);
    let gaps: Vec<u64> = out.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (2 * MS..=6 * MS).contains(gap)));
    let mean = gaps.iter().sum::<u64>() as f64 / gaps.len() as f64;
    // Uniform over 4 ms: sigma 1.155 ms; 3.29 sigma of the mean.
    assert!((mean - 4e6).abs() < 3.29 * 1.155e6 / 100.0, "{mean}");
}

#[test]
fn a_course_is_read_from_csv() {
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
fn a_course_that_cannot_be_is_refused() {
    for (network, words) in [
        (
            "[[schedule]]\nat = '1s'\nloss = '1%'\nramp = '1s'",
            "nowhere",
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
            "wants a rate",
        ),
        ("slots = { min = '2ms', max = '1ms' }", "max >= min"),
        ("slots = { min = '1us', max = '1ms' }", "10us"),
        (
            "slots = { min = '1ms', max = '1ms', packets = 0 }",
            "above 0",
        ),
    ] {
        let error = NetworkProfile::from_toml_str(network)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
}
