//! `cargo xtask ci`: everything that must pass before a change lands.

use std::process::Command;

use super::CommandError;
use super::gate::Gate;
use crate::exit::Exit;

/// Everything that must pass before a change lands.
#[derive(Debug, clap::Args)]
pub(super) struct Ci {}

/// A step: what it is, the words behind `cargo`, and what is added to the environment.
type Step = (
    &'static str,
    &'static [&'static str],
    Option<(&'static str, &'static str)>,
);

const STEPS: &[Step] = &[
    ("format", &["fmt", "--all", "--check"], None),
    (
        "lints",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ],
        None,
    ),
    (
        "documentation",
        &[
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
            "--locked",
        ],
        Some(("RUSTDOCFLAGS", "-D warnings")),
    ),
    ("tests", &["test", "--workspace", "--locked"], None),
    (
        "the state machine without its driver",
        &[
            "test",
            "--package",
            "lftp-transport",
            "--no-default-features",
            "--locked",
        ],
        None,
    ),
];

/// Folder of the congestion controllers. A macro declares their modules, and rustfmt does not look
/// into macros: `cargo fmt` has to be given their files.
const CONTROLLERS: &str = "transport/src/proto/congestion";

/// Checks the format of the congestion controllers.
fn controllers_formatted() -> Result<bool, CommandError> {
    let folder = crate::scenario::workspace().join(CONTROLLERS);
    let mut files = Vec::new();
    let entries = std::fs::read_dir(&folder).map_err(|error| CommandError::file(&folder, error))?;
    for entry in entries {
        let path = entry
            .map_err(|error| CommandError::file(&folder, error))?
            .path();
        // rustfmt finds the other files of a controller that is a folder by itself.
        let root = if path.is_dir() {
            path.join("mod.rs")
        } else {
            path
        };
        files.push(root);
    }
    files.sort();
    eprintln!("\n── format of the congestion controllers: rustfmt --check {CONTROLLERS}");
    let status = Command::new("rustfmt")
        .args(["--check", "--edition", "2024"])
        .args(files)
        .status()
        .map_err(|error| CommandError::file("rustfmt".as_ref(), error))?;
    Ok(status.success())
}

impl Ci {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        if !controllers_formatted()? {
            eprintln!("\nci: format failed; rustfmt --edition 2024 the file named above");
            return Ok(Exit::Ci);
        }
        for (what, words, environment) in STEPS {
            eprintln!("\n── {what}: cargo {}", words.join(" "));
            let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
                .args(*words)
                .envs(*environment)
                .status()
                .map_err(|error| CommandError::file("cargo".as_ref(), error))?;
            if !status.success() {
                eprintln!("\nci: {what} failed; again: cargo {}", words.join(" "));
                return Ok(Exit::Ci);
            }
        }
        #[cfg(target_os = "linux")]
        {
            eprintln!("\n── faults: cargo xtask faults");
            let faults = super::faults::Faults::default().run()?;
            if faults != Exit::Ok {
                return Ok(faults);
            }
        }
        eprintln!("\n── gate: cargo xtask gate");
        let gate = Gate::default().run()?;
        if gate == Exit::Ok {
            eprintln!("\nci: all steps passed");
        }
        Ok(gate)
    }
}
