//! The places that the documents name exist.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The texts in backquotes, outside blocks of code.
fn quoted(document: &str) -> Vec<String> {
    let mut in_block = false;
    let mut texts = Vec::new();
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            texts.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    texts
}

/// Whether a text names something in the repository: a path from a directory of it.
fn is_path(text: &str) -> bool {
    const DIRECTORIES: [&str; 8] = [
        "transport/",
        "netem/",
        "ftp/",
        "xtask/",
        "scenarios/",
        "docs/",
        "fuzz/",
        "reports/baseline",
    ];
    DIRECTORIES.iter().any(|start| text.starts_with(start)) && !text.contains(['<', '*', ' ', '{'])
}

/// The places of a document that do not exist.
fn missing(document: &str) -> Vec<String> {
    let exists = |text: &String| {
        let (path, function) = text.split_once(':').unwrap_or((text, ""));
        let path = root().join(path);
        if function.is_empty() {
            return path.exists();
        }
        fs::read_to_string(path).is_ok_and(|source| source.contains(&format!("fn {function}")))
    };
    quoted(document)
        .into_iter()
        .filter(|text| is_path(text) && !exists(text))
        .collect()
}

#[test]
fn places_named_in_the_documents_exist() {
    for name in [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/ARCHITECTURE.md",
    ] {
        let document = fs::read_to_string(root().join(name)).expect(name);
        assert_eq!(missing(&document), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_place_that_does_not_exist_is_found() {
    let document = "see `xtask/src/main.rs:main`, `xtask/src/main.rs:nothing`, `xtask/nowhere`";
    assert_eq!(
        missing(document),
        ["xtask/src/main.rs:nothing", "xtask/nowhere"]
    );
}

/// A tag of an action can be moved to other code; the hash of a commit cannot.
#[test]
fn actions_of_the_workflows_are_pinned_by_hash_with_the_version_beside_it() {
    let workflows = root().join(".github/workflows");
    let mut used = 0;
    for file in fs::read_dir(workflows).expect("workflows") {
        let path = file.expect("an entry").path();
        let workflow = fs::read_to_string(&path).expect("a workflow");
        for line in workflow.lines().filter(|line| line.contains("uses:")) {
            let pin = line
                .split_once('@')
                .and_then(|(_, pin)| pin.split_once(" # v"));
            let (hash, version) = pin.unwrap_or_else(|| panic!("{}: {line}", path.display()));
            assert!(
                hash.len() == 40 && hash.chars().all(|c| c.is_ascii_hexdigit()),
                "{line}"
            );
            assert!(version.split('.').count() == 3, "{line}");
            used += 1;
        }
    }
    assert!(used > 3, "{used}");
}

/// Its lock file listed ring, a second cryptography library, long after nothing asked for it.
#[test]
fn the_fuzz_targets_have_one_cryptography_library() {
    let lock = fs::read_to_string(root().join("fuzz/Cargo.lock")).expect("a lock file");
    assert!(lock.contains("name = \"aws-lc-rs\""));
    assert!(!lock.contains("name = \"ring\""));
}
