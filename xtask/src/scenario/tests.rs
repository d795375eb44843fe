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
fn a_faulty_file_is_reported_with_its_name_its_line_and_what_was_expected() {
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
        let message = fault(text, &[]);
        assert!(message.starts_with("bad.toml: "), "{message}");
        assert!(message.contains(line), "{text:?} is reported as {message}");
        assert!(
            message.contains(expected),
            "{text:?} is reported as {message}"
        );
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
fn an_invalid_change_is_reported_by_itself() {
    for (change, expected) in [
        ("network.loss=2", "%"),
        ("network.speed=1mbit", "speed"),
        ("transport.congestion=vegas", "vegas"),
        ("loss", "KEY=VALUE"),
        ("description.x=1", "string"),
        ("network.loss.x=1", "not a table"),
        ("network.=1", "empty part"),
    ] {
        let message = fault(BASE, &["network.loss=1%", change]);
        assert!(
            message.starts_with(&format!("--set {change}: ")),
            "{message}"
        );
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn without_flows_one_is_assumed() {
    let scenario = parse(BASE, Path::new("base.toml"), &[]).unwrap();
    assert_eq!(scenario.flows().len(), 1);
    let several = format!("{BASE}[[flow]]\nstart = \"1s\"\n[[flow]]\ncongestion = \"cubic\"\n");
    let scenario = parse(&several, Path::new("several.toml"), &[]).unwrap();
    assert_eq!(scenario.flows().len(), 2);
}

#[test]
fn a_network_may_start_from_a_preset_and_change_keys() {
    let text = "[network]\npreset = \"dsl\"\ndelay = \"40ms\"\nreverse.loss = \"1%\"\n";
    let network = parse(text, Path::new("base.toml"), &[]).unwrap().network;
    let dsl = lftp_netem::profile::Preset::Dsl.profile();
    assert_eq!(network.rate, dsl.rate);
    assert_eq!(network.forward().delay_ns(), 40_000_000);
    let (own, its) = (network.reverse.clone().unwrap(), dsl.reverse.unwrap());
    assert_eq!(own.rate, its.rate);
    assert_eq!(network.reverse().loss_mean().to_string(), "1%");
    let message = fault("[network]\n\npreset = \"6g\"\n", &[]);
    assert!(
        message.contains("line 3") && message.contains("satellite-geo"),
        "{message}"
    );
    let message = fault(BASE, &["network.preset=6g"]);
    assert!(
        message.starts_with("--set network.preset=6g: unknown preset"),
        "{message}"
    );
}

#[test]
fn traces_and_schedules_are_read_from_files_beside_the_scenario() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("up.trace"), "1\n3\n4\n").unwrap();
    std::fs::write(folder.path().join("drive.csv"), "at_ms,delay_ms\n500,70\n").unwrap();
    let path = folder.path().join("drive.toml");
    let text = "[network]\npreset = \"lte\"\nmahimahi_file = \"up.trace\"\n";
    let changes = ["network.reverse.schedule_csv=drive.csv".to_owned()];
    let network = parse(text, &path, &changes).unwrap().network;
    assert_eq!(network.mahimahi.unwrap().times_ms(), [1, 3, 4]);
    let steps = network.reverse.unwrap().schedule.unwrap();
    assert_eq!(steps[0].delay, Some(DurationNs(70_000_000)));

    let message = parse("[network]\nschedule_csv = \"none.csv\"\n", &path, &[]);
    let message = message.unwrap_err().to_string();
    for word in ["drive.toml: line 2: schedule_csv: cannot read ", "none.csv"] {
        assert!(message.contains(word), "{message}");
    }
    let message = parse(BASE, &path, &["network.mahimahi_file=drive.csv".to_owned()]);
    let message = message.unwrap_err().to_string();
    assert!(
        message.starts_with("--set network.mahimahi_file=drive.csv: "),
        "{message}"
    );
    assert!(
        message.contains("does not belong in a mahimahi trace"),
        "{message}"
    );
}

/// A scenario with one key changed by a line of TOML.
fn with_key(heading: &str, key: &str, value: &str) -> Scenario {
    let table = heading.trim_matches('`');
    let (network, gate) = ("[network]\nrate = \"10mbit\"\n", "floor = \"1%\"\n");
    let text = match table {
        "The file itself" if key == "network" => format!("{key} = {value}\n"),
        "The file itself" => format!("{key} = {value}\n{network}"),
        "[gate]" if key != "floor" => format!("{network}[gate]\n{gate}{key} = {value}\n"),
        table => format!("{network}{table}\n{key} = {value}\n"),
    };
    parse(&text, Path::new("documented.toml"), &[])
        .unwrap_or_else(|error| panic!("{heading}: {key} = {value}: {error}"))
}

#[test]
fn documented_keys_are_those_of_the_parser() {
    document::assert_has_keys_of::<Scenario>("The file itself", "[network]\n");
    document::assert_has_keys_of::<TransportSettings>("`[transport]`", "");
    document::assert_has_keys_of::<Transfer>("`[transfer]`", "");
    document::assert_has_keys_of::<Flow>("`[[flow]]`", "");
    document::assert_has_keys_of::<Limits>("`[limits]`", "");
    document::assert_has_keys_of::<Gate>("`[gate]`", "floor = \"1%\"\n");
}

#[test]
fn documented_examples_are_read_and_documented_defaults_are_the_parsers() {
    let headings = [
        "The file itself",
        "`[transport]`",
        "`[transfer]`",
        "`[[flow]]`",
        "`[limits]`",
        "`[gate]`",
    ];
    let plain = parse(
        "[network]\nrate = \"10mbit\"\n",
        Path::new("plain.toml"),
        &[],
    )
    .unwrap();
    for heading in headings {
        for row in document::rows(heading) {
            let example = with_key(heading, row.key, row.example);
            let Some(default) = row.default else { continue };
            let with_default = with_key(heading, row.key, default);
            let facts = |scenario: &Scenario| {
                let flow = &scenario.flows()[0];
                let transport = format!("{:?}", scenario.transport_of(flow));
                let rest = (scenario.size_of(flow), flow.start, scenario.limits.time);
                (
                    transport,
                    rest,
                    scenario.transfer.operation,
                    scenario.description.clone(),
                )
            };
            let name = format!("{heading}: {}", row.key);
            assert_eq!(facts(&with_default), facts(&plain), "{name}");
            assert_ne!(
                facts(&example),
                facts(&plain),
                "{name}: the example is the default"
            );
        }
    }
}

#[test]
fn every_congestion_control_of_the_transport_can_be_selected_by_name() {
    for algorithm in lftp_transport::Congestion::ALL {
        let quoted = format!("\"{algorithm}\"");
        let scenario = with_key("`[transport]`", "congestion", &quoted);
        let selected = scenario.transport_of(&scenario.flows()[0]).congestion;
        assert_eq!(selected, algorithm);
    }
    let old = with_key("`[transport]`", "congestion", "\"bbr\"");
    let selected = old.transport_of(&old.flows()[0]).congestion;
    assert_eq!(selected, lftp_transport::Congestion::Fathom);
}
