//! Holds the transport's table in `docs/RESOURCES.md` to the code.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lftp_transport::Config;

/// Settings that bound nothing that a peer holds.
const OTHERS: [&str; 5] = [
    "max_datagram_bytes",
    "initial_window_packets",
    "fixed_window_packets",
    "key_update_packets",
    "go_back_n_timeout",
];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names and values of the table: `name` = value.
fn documented() -> BTreeMap<String, u64> {
    let document = read("../docs/RESOURCES.md");
    let section = document.split("\n## The transport\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with("| resource |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut values = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 4, "{row}");
        for entry in cells[3].split(';').filter(|entry| entry.contains('=')) {
            let (name, value) = entry.split_once('=').unwrap();
            // A remark may follow.
            let value = value.split(", ").next().unwrap();
            let digits = value.trim().trim_end_matches(" s").replace(',', "");
            let value = digits.parse().unwrap_or_else(|_| panic!("{entry}"));
            let name = name.trim().trim_matches('`').to_owned();
            assert_eq!(values.insert(name, value), None, "twice: {entry}");
        }
    }
    values
}

/// The whole numbers of the default settings; durations in seconds.
fn settings() -> BTreeMap<String, u64> {
    let text = format!("{:#?}", Config::default());
    let fields = text.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("    ")?.split_once(": ")?;
        let digits = value.trim_end_matches(',').trim_end_matches('s');
        Some((name.to_owned(), digits.parse().ok()?))
    });
    fields.collect()
}

/// The value of a constant, which is a number, a sum of bits, or a power of two.
fn constant(place: &str) -> u64 {
    let (file, name) = place.split_once(':').unwrap();
    let source = read(&format!("src/proto/{file}"));
    let begin = format!("const {name}: ");
    let line = source
        .lines()
        .find(|line| line.contains(&begin))
        .unwrap_or_else(|| panic!("there is no {place}"));
    let value = line.split(" = ").nth(1).unwrap().trim_end_matches(';');
    let number = |text: &str| text.trim().replace('_', "").parse::<u64>().unwrap();
    match value.split_once("<<") {
        Some((left, right)) => number(left) << number(right),
        None => number(value),
    }
}

#[test]
fn the_table_has_the_values_of_the_code() {
    let (documented, settings) = (documented(), settings());
    assert!(documented.len() > 30, "{documented:?}");
    for (name, &value) in &documented {
        let actual = if name.contains(':') {
            constant(name)
        } else {
            *settings
                .get(name)
                .unwrap_or_else(|| panic!("no setting {name}"))
        };
        assert_eq!(value, actual, "{name}");
    }
}

#[test]
fn every_limit_among_the_settings_is_in_the_table() {
    const ENDINGS: [&str; 6] = [
        "_limit",
        "_bytes",
        "_threshold",
        "_retries",
        "_packets",
        "_timeout",
    ];
    let (documented, settings) = (documented(), settings());
    let limits = settings.keys().filter(|name| {
        ENDINGS.iter().any(|ending| name.ends_with(ending)) && !OTHERS.contains(&name.as_str())
    });
    let limits: Vec<_> = limits.collect();
    assert!(limits.len() >= 11, "{limits:?}");
    for name in limits {
        assert!(documented.contains_key(name), "{name} is not in the table");
    }
}

/// The sum that the document gives is what its rows come to.
#[test]
fn the_total_is_the_sum_of_its_parts() {
    let documented = documented();
    let value = |name: &str| documented[name];
    let fixed = value("listen_limit") * value("endpoint/memory.rs:CONNECTION_BYTES")
        + value("listen_limit") * 8_192
        + value("half_open_limit") * value("endpoint/memory.rs:HALF_OPEN_BYTES");
    assert!(fixed <= value("memory_limit_bytes"));
    let replies = value("endpoint/stateless.rs:MAX_REPLIES") * 1_536;
    let rates = value("endpoint/rate.rs:MAX_PREFIXES") * 64;
    let total = value("memory_limit_bytes") + replies + rates + 600 * 1_024;
    assert!(total <= 58 << 20, "{total}");
    assert!(total > 57 << 20, "{total}");
    assert!(read("../docs/RESOURCES.md").contains("holds at most 58 MiB"));
    // The ports of the file server, which share all but replies and rates.
    assert!(total + 10 * (replies + rates) <= 64 << 20);
}
