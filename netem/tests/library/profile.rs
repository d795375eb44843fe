//! The `[network]` table: what it may say and what it answers when it is wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

use lftp_netem::profile::{DurationNs, NetworkProfile, Percent, QueueSize, Rate, Size};
use proptest::prelude::*;

fn profile(text: &str) -> NetworkProfile {
    NetworkProfile::from_toml_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Checks that the message names the line and contains all of `words`.
fn refuses(text: &str, line: usize, words: &[&str]) {
    let error = NetworkProfile::from_toml_str(text).unwrap_err().to_string();
    assert!(
        error.contains(&format!("line {line}, column ")),
        "{text}\n{error}"
    );
    for word in words {
        assert!(error.contains(word), "{text}\n{error}\nlacks {word:?}");
    }
}

#[test]
fn each_direction_has_what_both_have_unless_it_says_otherwise() {
    let network = profile(
        "rate = '20mbit'\ndelay = '40ms'\nloss = '1%'\n\
         [reverse]\nrate = '2mbit'\nloss = '0%'\n[forward]\nmtu = '1280B'",
    );
    let (forward, reverse) = (network.forward(), network.reverse());
    assert_eq!(forward.rate_bps(), Some(20_000_000));
    assert_eq!(reverse.rate_bps(), Some(2_000_000));
    assert_eq!(
        (forward.delay_ns(), reverse.delay_ns()),
        (40_000_000, 40_000_000)
    );
    assert_eq!(forward.loss_mean(), "1%".parse().unwrap());
    assert_eq!(reverse.loss_mean(), Percent::ZERO);
    assert_eq!((forward.mtu_bytes, reverse.mtu_bytes), (1280, 1500));
    assert_eq!(forward.queue_bytes(), Some(20_000_000 / 8 * 80 / 1000));
    assert_eq!(network.round_trip_ns(), 80_000_000);
}

#[test]
fn a_bare_number_is_refused_with_the_units_that_fit() {
    refuses("delay = 20", 1, &["no unit", "20ms", "us"]);
    refuses("rate = 100", 1, &["no unit", "100mbit"]);
    refuses(
        "rate = '1mbit'\nqueue = 1000",
        2,
        &["no unit", "1bdp", "1000p", "256KiB"],
    );
    refuses("\nloss = 0.1", 2, &["no unit", "10%"]);
    refuses("loss = '0.1'", 1, &["no unit", "10%"]);
    refuses("mtu = 1500", 1, &["no unit", "B"]);
}

#[test]
fn an_impossible_value_is_refused_with_what_was_expected() {
    refuses("loss = '120%'", 1, &["0% to 100%"]);
    refuses("loss = '-1%'", 1, &["negative"]);
    refuses("delay = '-5ms'", 1, &["negative"]);
    refuses("rate = '0mbit'", 1, &["at least", "1bit"]);
    refuses("rate = '5mbps'", 1, &["ambiguous", "mbit"]);
    refuses("delay = '5 parsec'", 1, &["parsec", "ms"]);
    refuses("rate = '1mbit'\nqueue = '0p'", 2, &["at least one packet"]);
    refuses("delay = '99999999h'", 1, &["above the limit"]);
}

#[test]
fn an_unknown_key_is_refused_with_the_known_ones() {
    refuses(
        "delay = '5ms'\nlos = '1%'",
        2,
        &["unknown field `los`", "`loss`"],
    );
    refuses(
        "[forward]\nlos = '1%'",
        2,
        &["unknown field `los`", "`loss`"],
    );
    refuses(
        "loss = { model = 'gilbert', p = '1%' }",
        1,
        &["gilbert-elliott"],
    );
}

#[test]
fn a_burst_model_wants_one_spelling_that_can_be() {
    let loss = |rest: &str| format!("loss = {{ model = 'gilbert-elliott', {rest} }}");
    refuses(&loss("mean = '3%'"), 1, &["mean and burst", "1-h"]);
    refuses(&loss("mean = '3%', burst = '9p', p = '1%'"), 1, &["either"]);
    refuses(
        &loss("mean = '90%', burst = '2p'"),
        1,
        &["at least 9 packets"],
    );
    refuses(
        &loss("mean = '3%', burst = '0.5p'"),
        1,
        &["at least one packet"],
    );
    refuses(&loss("mean = '3%', burst = 10"), 1, &["10p"]);
    let mean = |rest: &str| profile(&loss(rest)).forward().loss_mean().fraction();
    assert!((mean("mean = '3%', burst = '10p'") - 0.03).abs() < 1e-9);
    assert!((mean("p = '1%', r = '9%', 1-h = '50%', 1-k = '10%'") - 0.14).abs() < 1e-9);
}

#[test]
fn a_schedule_must_make_sense() {
    let error = |text: &str, word: &str| {
        let error = NetworkProfile::from_toml_str(text).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    error(
        "[[schedule]]\nat = '5s'\nblackout_until = '4s'",
        "before it begins",
    );
    error("[[schedule]]\nat = '5s'", "changes nothing");
    error(
        "[[schedule]]\nat = '5s'\nrate = '1mbit'\n[[schedule]]\nat = '4s'\nrate = '2mbit'",
        "comes after",
    );
    error("queue = '1bdp'", "needs a rate");
    error("mtu = '20B'", "impossible");
}

#[test]
fn achievable_is_what_survives_of_the_payload() {
    let network = profile("rate = '15mbit'\nloss = '10%'");
    assert_eq!(network.achievable_bps(1_000_000_000), Some(13_248_000));
    let before = profile("rate = '15mbit'\nloss = '10%'\nloss_position = 'before-queue'");
    assert_eq!(before.achievable_bps(1_000_000_000), Some(14_720_000));
    assert_eq!(profile("delay = '1ms'").achievable_bps(1_000_000_000), None);
}

#[test]
fn achievable_follows_the_schedule() {
    let network = profile(
        "rate = '15mbit'\n[[schedule]]\nat = '1s'\nrate = '30mbit'\n\
         [[schedule]]\nat = '2s'\nblackout_until = '3s'\n\
         [[schedule]]\nat = '3s'\nloss = '50%'\nrate = '60mbit'",
    );
    let s = 1_000_000_000;
    let bps = |duration| network.achievable_bps(duration).unwrap();
    assert_eq!(bps(s), 14_720_000);
    assert_eq!(bps(2 * s), 14_720_000 * 3 / 2);
    assert_eq!(bps(3 * s), 14_720_000);
    assert_eq!(bps(4 * s), 14_720_000 * 5 / 4);
}

#[test]
fn a_profile_survives_being_written() {
    let text = "rate = '1.5mbit'\nqueue = '0.25bdp'\ndelay = '40ms'\njitter = '1500us'\n\
        loss = { model = 'gilbert-elliott', mean = '3%', burst = '2.5p' }\n\
        reorder = { probability = '5%', delay = '10ms' }\nduplicate = '0.01%'\n\
        [reverse]\nloss = '2%'\njitter_distribution = 'normal'\n\
        [[schedule]]\nat = '5s'\nrate = '2mbit'\nblackout_until = '6s'";
    let first = profile(text);
    let written = toml::to_string(&first).unwrap();
    assert_eq!(profile(&written), first, "{written}");
}

#[test]
fn inside_a_scenario_the_line_is_the_scenarios() {
    #[derive(Debug, serde::Deserialize)]
    struct Scenario {
        #[expect(dead_code, reason = "only its errors are looked at")]
        network: NetworkProfile,
    }
    for text in [
        "[network]\ndelay = '1ms'\n[network.reverse]\nloss = '120%'",
        "[network]\ndelay = '1ms'\nrate = '1mbit'\nqueue = '3 hats'",
    ] {
        let error = toml::from_str::<Scenario>(text).unwrap_err().to_string();
        assert!(error.contains("line 4, column "), "{error}");
    }
}

proptest! {
    #[test]
    fn every_quantity_reads_what_it_writes(value in 1u64..1_000_000_000_000_000) {
        let rate = Rate::from_bps(value).unwrap();
        prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        prop_assert_eq!(DurationNs(value).to_string().parse(), Ok(DurationNs(value)));
        prop_assert_eq!(Size(value).to_string().parse(), Ok(Size(value)));
        let percent = Percent::from_parts(value % (Percent::WHOLE + 1));
        prop_assert_eq!(percent.to_string().parse(), Ok(percent));
        for size in [
            QueueSize::MilliBdp(value),
            QueueSize::Bytes(value),
            QueueSize::Packets(value),
            QueueSize::Time(value),
        ] {
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }
    }

    #[test]
    fn decimals_are_exact(whole in 0u64..1000, thousandths in 0u64..1000) {
        let text = format!("{whole}.{thousandths:03}");
        let value = whole * 1000 + thousandths;
        prop_assert_eq!(format!("{text}ms").parse(), Ok(DurationNs(value * 1000)));
        prop_assert_eq!(format!("{text} us").parse(), Ok(DurationNs(value)));
        prop_assert_eq!(format!("{text}MB").parse(), Ok(Size(value * 1000)));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in ".{0,24}") {
        let _ = text.parse::<Percent>();
        let _ = text.parse::<DurationNs>();
        let _ = text.parse::<Rate>();
        let _ = text.parse::<Size>();
        let _ = text.parse::<QueueSize>();
    }
}
