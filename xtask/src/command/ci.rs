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

impl Ci {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
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
