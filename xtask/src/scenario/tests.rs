use std::path::Path;

use super::find::parse;
use super::*;

const BASE: &str = "[network]\nrate = \"10mbit\"\ndelay = \"5ms\"\n";

fn fault(text: &str, changes: &[&str]) -> String {
    let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
    parse(text, Path::new("bad.toml"), &changes)
        .unwrap_err()
        .to_string()
}

#[test]
fn every_named_scenario_can_be_read_and_written_and_read_again() {
    let scenarios = all().unwrap();
    assert!(scenarios.len() >= 11, "{}", scenarios.len());
    for scenario in scenarios {
        assert!(
            !scenario.description.is_empty(),
            "{} says what it is",
            scenario.name
        );
        let text = scenario.to_toml();
        let again = parse(&text, Path::new("again.toml"), &[]).unwrap();
        assert_eq!(again.to_toml(), text, "{}", scenario.name);
    }
}

#[test]
fn a_file_with_a_fault_is_told_with_its_name_its_line_and_what_was_expected() {
    for (text, line, expected) in [
        (
            "[network]\nrate = \"10mbit\"\nlos = \"1%\"\n",
            "line 3",
            "unknown field `los`",
        ),
        ("[network]\nrate = 10\n", "line 2", "mbit"),
        ("[network]\nloss = 0.1\n", "line 2", "%"),
        ("[network]\nloss = \"120%\"\n", "line 2", "100%"),
        ("[network]\nrate = \"0mbit\"\n", "line 2", "rate"),
        ("[network]\ndelay = \"-5ms\"\n", "line 2", "-5ms"),
        ("[network]\ndelay = 20\n", "line 2", "ms"),
        ("[network]\n[transfer]\nsize = 5\n", "line 3", "KiB"),
        (
            "[network]\n[transport]\ncongestion = \"vegas\"\n",
            "line 3",
            "cubic",
        ),
        (
            "[network]\n[transport]\nfixed_window = 16\n",
            "line 3",
            "16p",
        ),
        ("[network\n", "line 1", "]"),
        ("[transfer]\n", "line 1", "network"),
    ] {
        let told = fault(text, &[]);
        assert!(told.starts_with("bad.toml: "), "{told}");
        assert!(told.contains(line), "{text:?} is told as {told}");
        assert!(told.contains(expected), "{text:?} is told as {told}");
    }
}

#[test]
fn any_key_can_be_set_with_or_without_quotes() {
    let changes = [
        "network.loss=20%",
        "transport.congestion=cubic",
        "transfer.size=\"1MiB\"",
    ];
    let changes = changes.map(str::to_owned);
    let scenario = parse(BASE, Path::new("base.toml"), &changes).unwrap();
    let flow = Flow::default();
    let congestion = scenario.transport_of(&flow).congestion;
    assert_eq!(congestion, lftp_transport::Congestion::Cubic);
    assert_eq!(scenario.size_of(&flow), 1 << 20);
    assert!((scenario.network.forward().loss_mean().fraction() - 0.2).abs() < 1e-9);
}

#[test]
fn a_change_that_makes_no_sense_is_told_by_its_own_words() {
    for (change, expected) in [
        ("network.loss=2", "%"),
        ("network.speed=1mbit", "speed"),
        ("transport.congestion=vegas", "vegas"),
        ("loss", "KEY=VALUE"),
        ("description.x=1", "string"),
        ("network.loss.x=1", "no table"),
        ("network.=1", "empty part"),
    ] {
        let told = fault(BASE, &["network.loss=1%", change]);
        assert!(told.starts_with(&format!("--set {change}: ")), "{told}");
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn without_flows_there_is_one() {
    let scenario = parse(BASE, Path::new("base.toml"), &[]).unwrap();
    assert_eq!(scenario.flows().len(), 1);
    let several = format!("{BASE}[[flow]]\nstart = \"1s\"\n[[flow]]\ncongestion = \"cubic\"\n");
    let scenario = parse(&several, Path::new("several.toml"), &[]).unwrap();
    assert_eq!(scenario.flows().len(), 2);
}
