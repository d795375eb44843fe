//! `docs/SCENARIOS.md` against the parser, for tests.

use serde::de::DeserializeOwned;

const DOCUMENT: &str = include_str!("../../../docs/SCENARIOS.md");

/// One row of a table of keys.
pub(crate) struct Row {
    pub(crate) key: &'static str,
    /// The default as a TOML value; none if the key has no default.
    pub(crate) default: Option<&'static str>,
    /// A TOML value.
    pub(crate) example: &'static str,
}

/// The rows under a heading.
pub(crate) fn rows(heading: &str) -> Vec<Row> {
    let start = format!("\n## {heading}\n");
    let section = DOCUMENT.split_once(start.as_str());
    let section = section.unwrap_or_else(|| panic!("no section {heading}")).1;
    let section = section.split("\n## ").next().expect("split has a first");
    let code = |cell: &'static str| cell.trim().strip_prefix('`')?.strip_suffix('`');
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&'static str> = line.trim_matches('|').split('|').collect();
        let [key, _, _, default, example] = cells[..] else {
            panic!("{line} has not five cells");
        };
        Row {
            key: code(key).expect("a key in code style"),
            default: code(default),
            example: code(example).unwrap_or_else(|| panic!("{line} has no example")),
        }
    })
    .collect()
}

/// Asserts that a section lists exactly the keys that the parser of `T` takes. The parser is
/// asked by way of its error for a key that does not exist.
pub(crate) fn assert_has_keys_of<T: DeserializeOwned>(heading: &str, required: &str) {
    let text = format!("no-such-key = 1\n{required}");
    let Err(error) = toml::from_str::<T>(&text) else {
        panic!("{heading}: a key that does not exist is accepted");
    };
    let message = error.to_string();
    let expected = message.split_once("expected ").expect("a list of keys").1;
    let mut known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let mut documented: Vec<&str> = rows(heading).iter().map(|row| row.key).collect();
    known.sort_unstable();
    documented.sort_unstable();
    assert_eq!(documented, known, "{heading}");
}
