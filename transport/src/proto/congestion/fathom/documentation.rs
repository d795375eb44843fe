//! Holds the table of constants in `docs/CONGESTION.md` against the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A constant: its name, its value, and the file that it stands in.
type Constant = (String, String, String);

/// The folders whose constants the document explains.
const FOLDERS: [&str; 2] = ["fathom", "model"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the value as the document writes it: durations with their unit.
fn readable(value: &str) -> String {
    let units = [("from_millis", "ms"), ("from_secs", "s")];
    for (constructor, unit) in units {
        let inner = value
            .strip_prefix(&format!("Duration::{constructor}("))
            .and_then(|rest| rest.strip_suffix(')'));
        if let Some(number) = inner {
            return format!("{number} {unit}");
        }
    }
    value.to_owned()
}

/// Returns the constants of the files in a folder, those of their tests left out.
fn constants_in(folder: &str) -> BTreeSet<Constant> {
    let path = repository()
        .join("transport/src/proto/congestion")
        .join(folder);
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if file == "documentation.rs" {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for line in code.lines() {
            let declaration = line.strip_prefix("pub(super) ").unwrap_or(line);
            if let Some(rest) = declaration.strip_prefix("const ")
                && !rest.starts_with("fn ")
            {
                let (name, rest) = rest.split_once(':').unwrap();
                let (_, value) = rest.split_once(" = ").unwrap();
                let value = readable(value.strip_suffix(';').unwrap());
                found.insert((name.to_owned(), value, format!("{folder}/{file}")));
            }
        }
    }
    found
}

/// Returns the rows of the document that begin with a constant's name.
fn documented() -> BTreeSet<Constant> {
    let document = fs::read_to_string(repository().join("docs/CONGESTION.md")).unwrap();
    let mut found = BTreeSet::new();
    for row in document.lines() {
        let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`'));
        if let (Some(""), Some(name), Some(value), Some(file)) =
            (cells.next(), cells.next(), cells.next(), cells.next())
            && file.ends_with(".rs")
            && FOLDERS.iter().any(|folder| file.starts_with(folder))
        {
            found.insert((name.to_owned(), value.to_owned(), file.to_owned()));
        }
    }
    found
}

#[test]
fn the_document_has_every_constant_with_its_value_and_place() {
    let code: BTreeSet<_> = FOLDERS.into_iter().flat_map(constants_in).collect();
    let document = documented();
    let missing: Vec<_> = code.difference(&document).collect();
    let wrong: Vec<_> = document.difference(&code).collect();
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "docs/CONGESTION.md lacks {missing:#?} and has {wrong:#?} that the code has not"
    );
    assert!(code.len() > 30, "{} constants found", code.len());
}
