//! The two programs of the bench share the crates that both need.
//!
//! Cargo keeps one build of a crate for each set of its features. A crate that the other
//! transports use with one more feature would be compiled twice, and everything above it as well:
//! the first `cargo xtask compare` would then take as long as a build from nothing.

use std::collections::BTreeSet;
use std::process::Command;

/// The crates of a build, each with its features.
fn crates(features: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = ["tree", "--package", "xtask", "--no-default-features"];
    let form = [
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p} {f}",
    ];
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(tree)
        .args(form)
        .args(features)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    let lines = lines.lines().map(|line| line.trim_end_matches(" (*)"));
    lines.map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn the_other_transports_add_crates_and_change_none() {
    let without = crates(&[]);
    let with = crates(&["--features", "peers"]);
    assert!(without.len() > 50 && with.len() > without.len());
    let changed: Vec<&String> = without
        .difference(&with)
        // The crates of this workspace have features for it.
        .filter(|line| !line.starts_with("lftp-") && !line.starts_with("xtask "))
        .collect();
    assert!(
        changed.is_empty(),
        "turn these features on in xtask/Cargo.toml for both builds: {changed:#?}"
    );
}
