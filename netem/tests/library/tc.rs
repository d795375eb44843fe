//! Lines of `tc netem`, and networks known by name.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

use lftp_netem::profile::{DirectionSettings, LossPosition, NetworkProfile, Preset};

fn toml(line: &str) -> String {
    let settings = DirectionSettings::from_tc(line).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(settings.loss_position, Some(LossPosition::BeforeQueue));
    let text = toml::to_string(&settings).unwrap();
    NetworkProfile::from_toml_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    text
}

/// The line, read and written again, is `written`, and that is stable.
fn becomes(line: &str, written: &str) {
    let settings = DirectionSettings::from_tc(line).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(settings.to_tc().as_deref(), Ok(written));
    assert_eq!(DirectionSettings::from_tc(written).unwrap(), settings);
}

#[test]
fn the_examples_of_the_manual_are_read() {
    becomes(
        "tc qdisc add dev eth0 root netem delay 100ms",
        "delay 100ms",
    );
    becomes("delay 100ms 10ms 25%", "delay 100ms 10ms 25%");
    becomes(
        "delay 100ms 20ms distribution normal",
        "delay 100ms 20ms distribution normal",
    );
    becomes("netem loss 0.3% 25%", "loss random 0.3% 25%");
    becomes("duplicate 1%", "duplicate 1%");
    becomes("corrupt 0.1%", "corrupt 0.1%");
    becomes("delay 10ms reorder 25% 50%", "delay 10ms reorder 25% 50%");
    becomes(
        "delay 10ms reorder 25% 50% gap 5",
        "delay 10ms reorder 25% 50% gap 5",
    );
    becomes("rate 5kbit 20 100 5", "rate 5kbit 20 100 5");
    becomes("rate 5kbit -14", "rate 5kbit -14 0 0");
    becomes(
        "delay 50ms 10ms distribution paretonormal",
        "delay 50ms 10ms distribution paretonormal",
    );
    becomes(
        "slot 800us 1ms packets 64 bytes 6400",
        "slot 800us 1ms packets 64 bytes 6400",
    );
    becomes("rate 1mbit limit 1000", "rate 1mbit limit 1000");
}

#[test]
fn every_loss_of_tc_is_read() {
    becomes("loss 1", "loss 1%");
    becomes("loss random 5%", "loss 5%");
    becomes("loss gemodel 1%", "loss gemodel 1% 99% 100% 0%");
    becomes(
        "loss gemodel 1% 10% 70% 0.1%",
        "loss gemodel 1% 10% 70% 0.1%",
    );
    becomes("loss state 2%", "loss state 2% 98% 0% 100% 0%");
    becomes(
        "loss state 1% 20% 30% 40% 0.5%",
        "loss state 1% 20% 30% 40% 0.5%",
    );
    assert!(toml("loss 0.3% 25%").contains("netem-correlated"));
}

#[test]
fn bare_numbers_mean_what_they_mean_to_tc() {
    becomes(
        "delay 20000 500 rate 1000000",
        "delay 20ms 500us rate 1mbit",
    );
    becomes("delay 20msec", "delay 20ms");
}

#[test]
fn what_is_not_understood_is_named() {
    for (line, words) in [
        ("delay", "\"delay\" does not belong"),
        ("delay 10ms lose 5%", "\"lose\" does not belong"),
        ("delay tenms", "\"tenms\" does not belong"),
        ("loss 120%", "\"120%\" does not belong"),
        ("loss state 90% 10% 0% 100% 50%", "p13 and p14"),
        ("gap 5 delay 10ms", "gap"),
        ("delay 1ms 1ms distribution experimental", "experimental"),
    ] {
        let error = DirectionSettings::from_tc(line).unwrap_err().to_string();
        assert!(error.contains(words), "{line}: {error}");
    }
    for (text, words) in [
        ("truncate = '1%'", "truncate"),
        (
            "reorder = { probability = '1%', delay = '1ms' }",
            "late packets",
        ),
        (
            "loss = { model = 'gilbert-elliott', mean = '1%', burst = '2p' }",
            "burst length",
        ),
        ("loss = { model = 'nth', every = 3 }", "loss model"),
        ("rate = '1mbit'\nqueue = '1bdp'", "packets"),
    ] {
        let settings: DirectionSettings = toml::from_str(text).unwrap();
        let error = settings.to_tc().unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn each_preset_is_a_network_and_found_by_its_name() {
    for preset in Preset::ALL {
        let profile = preset.profile();
        assert!(profile.forward().rate_bps().is_some() && profile.round_trip_ns() > 0);
        assert_eq!(preset.name().parse(), Ok(preset));
    }
    assert_eq!(Preset::FourG.profile().round_trip_ns(), 170_000_000);
    assert_eq!(Preset::Dsl.profile().reverse().rate_bps(), Some(384_000));
    let error = "6g".parse::<Preset>().unwrap_err().to_string();
    assert!(error.contains("transatlantic"), "{error}");
}
