//! The table of features names tests that exist, and none is claimed without one.

use std::{collections::BTreeMap, fs, path::Path};

const FEATURES: &str = include_str!("../../FEATURES.md");

/// The rows: the feature, whether it is here, and the last column.
fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    // The figures that follow have tables of their own.
    let table = FEATURES.split("\n## ").next().unwrap_or(FEATURES);
    let rows = table.lines().filter(|line| line.starts_with("| "));
    rows.skip(1).map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 13, "{line}");
        (cells[1], cells[2], cells[11])
    })
}

#[test]
fn each_feature_has_a_test_and_the_test_is_there() {
    let mut sources = BTreeMap::new();
    for (feature, here, test) in rows() {
        let named = test
            .strip_prefix('`')
            .and_then(|test| test.strip_suffix('`'));
        if here != "●" && named.is_none() {
            continue;
        }
        let named = named.unwrap_or_else(|| panic!("{feature}: {test} is no test"));
        let (file, name) = named.split_once("::").unwrap_or((named, ""));
        let source = sources.entry(file).or_insert_with(|| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        });
        assert!(
            source.contains(&format!("fn {name}(")),
            "{feature}: no {named}"
        );
    }
    assert!(sources.len() > 8);
}
