//! The table of parameters has a row for each key that a profile may have, and for no other, and
//! says of each its unit, its range, its default and its source.

use std::collections::BTreeSet;

use lftp_netem::profile::NetworkProfile;

const PARAMETERS: &str = include_str!("../../PARAMETERS.md");

/// A table within the network's, with what it cannot be without, and a key that is none.
const TABLES: [(&str, &str); 16] = [
    ("schedule", "[[schedule]]\nat = '1s'\nnope = 1"),
    ("slots", "[slots]\nmin = '1ms'\nmax = '2ms'\nnope = 1"),
    ("cross_traffic", "[cross_traffic]\nrate = '1mbit'\nnope = 1"),
    ("reorder", "[reorder]\nprobability = '1%'\nnope = 1"),
    (
        "red",
        "[discipline]\nname = 'red'\nmin = '1p'\nmax = '2p'\nnope = 1",
    ),
    ("codel", "[discipline]\nname = 'codel'\nnope = 1"),
    ("pie", "[discipline]\nname = 'pie'\nnope = 1"),
    ("fq-codel", "[discipline]\nname = 'fq-codel'\nnope = 1"),
    ("dualpi2", "[discipline]\nname = 'dualpi2'\nnope = 1"),
    (
        "gilbert-elliott",
        "[loss]\nmodel = 'gilbert-elliott'\nnope = 1",
    ),
    ("4-state", "[loss]\nmodel = '4-state'\nnope = 1"),
    ("correlated", "[loss]\nmodel = 'correlated'\nnope = 1"),
    (
        "netem-correlated",
        "[loss]\nmodel = 'netem-correlated'\nnope = 1",
    ),
    ("list", "[loss]\nmodel = 'list'\nnope = 1"),
    ("nth", "[loss]\nmodel = 'nth'\nnope = 1"),
    ("pattern", "[loss]\nmodel = 'pattern'\nnope = 1"),
];

/// The keys that are named when there is one that is none.
fn keys(text: &str) -> Vec<String> {
    let refused = NetworkProfile::from_toml_str(text).expect_err("a key that is none");
    let message = refused.to_string();
    let (_, expected) = message
        .split_once("unknown field `nope`, expected ")
        .unwrap_or_else(|| panic!("{message}"));
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_key_has_a_row_with_unit_range_default_and_source() {
    let mut wanted: BTreeSet<String> = keys("nope = 1").into_iter().collect();
    for (table, text) in TABLES {
        wanted.extend(keys(text).iter().map(|key| format!("{table}.{key}")));
    }
    assert!(wanted.len() > 80, "{wanted:?}");
    let mut rows = BTreeSet::new();
    for row in PARAMETERS.lines().filter(|row| row.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 7, "{row}");
        assert!(cells[1..6].iter().all(|cell| !cell.is_empty()), "{row}");
        let key = cells[1].trim_matches('`').to_owned();
        assert!(rows.insert(key), "twice: {row}");
    }
    assert_eq!(rows, wanted);
}
