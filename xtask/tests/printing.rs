//! The programs print through `lftp-console` alone: anything else panics, or loses an error, when
//! an output is closed or full.

use std::fs;
use std::path::{Path, PathBuf};

/// What a source may not contain, outside its tests.
const FORBIDDEN: [&str; 10] = [
    "println!(",
    "print!(",
    "eprintln!(",
    "eprint!(",
    "dbg!(",
    "io::stdout()",
    "io::stderr",
    "::parse();",
    "|error| error.exit()",
    ".get_matches",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The lines of a source that print by other means.
fn faults(text: &str) -> Vec<&str> {
    let program = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = program.lines().map(str::trim);
    lines
        .filter(|line| !line.starts_with("//"))
        .filter(|line| FORBIDDEN.iter().any(|word| line.contains(word)))
        .collect()
}

#[test]
fn no_program_prints_past_the_checked_writer() {
    let mut files = Vec::new();
    for folder in ["transport/src", "netem/src", "ftp/src", "xtask/src"] {
        sources(&root().join(folder), &mut files);
    }
    assert!(files.len() > 300, "{}", files.len());
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        found.extend(
            faults(&text)
                .into_iter()
                .map(|line| format!("{}: {line}", file.display())),
        );
    }
    assert!(found.is_empty(), "print through lftp-console: {found:#?}");
}

#[test]
fn a_line_that_prints_is_found() {
    let text =
        "//! println!()\nlet a = 1;\n  eprintln!(\"a\");\n#[cfg(test)]\nmod tests { println!() }";
    assert_eq!(faults(text), ["eprintln!(\"a\");"]);
}
