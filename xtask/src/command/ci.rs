//! `cargo xtask ci`: everything that must pass before a change lands.

use std::process::Command;
use std::time::{Duration, Instant};

use super::gate::Gate;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::table::{Column, Table};

/// Run everything that must pass before a change lands.
#[derive(Debug, clap::Args)]
pub(super) struct Ci {}

/// A step that is a call of cargo.
struct Step {
    name: &'static str,
    arguments: &'static [&'static str],
    /// A variable added to the environment.
    environment: Option<(&'static str, &'static str)>,
}

/// All features are on, so that every crate is compiled once for lints and once for tests, with
/// the other transports of the bench and the programs of netem among them. The bench without
/// them is the program that runs these steps.
const STEPS: &[Step] = &[
    Step {
        name: "format",
        arguments: &["fmt", "--all", "--check"],
        environment: None,
    },
    Step {
        name: "lints",
        arguments: &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--locked",
            "--",
            "-D",
            "warnings",
        ],
        environment: None,
    },
    Step {
        name: "documentation",
        arguments: &[
            "doc",
            "--workspace",
            "--all-features",
            "--no-deps",
            "--document-private-items",
            "--locked",
        ],
        environment: Some(("RUSTDOCFLAGS", "-D warnings")),
    },
    Step {
        name: "tests",
        arguments: &["test", "--workspace", "--all-features", "--locked"],
        environment: None,
    },
    Step {
        name: "the state machine without its driver",
        arguments: &[
            "test",
            "--package",
            "lftp-transport",
            "--no-default-features",
            "--locked",
        ],
        environment: None,
    },
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
    lftp_console::noteln!(
        "\n── format of the congestion controllers: rustfmt --check {CONTROLLERS}"
    );
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
            lftp_console::noteln!(
                "\nci: format failed; rustfmt --edition 2024 the file named above"
            );
            return Ok(Exit::Ci);
        }
        let mut times = Times::default();
        for step in STEPS {
            let arguments = step.arguments.join(" ");
            lftp_console::noteln!("\n── {}: cargo {arguments}", step.name);
            let status = times.take(step.name, || {
                Command::new(super::cargo())
                    .args(step.arguments)
                    .envs(step.environment)
                    .status()
            });
            let status = status.map_err(|error| CommandError::file("cargo".as_ref(), error))?;
            if !status.success() {
                lftp_console::noteln!("\nci: {} failed; repeat with: cargo {arguments}", step.name);
                return Ok(Exit::Ci);
            }
        }
        #[cfg(target_os = "linux")]
        {
            lftp_console::noteln!("\n── faults: cargo xtask faults");
            let faults = times.take("faults", || super::faults::Faults::default().run())?;
            if faults != Exit::Ok {
                return Ok(faults);
            }
        }
        lftp_console::noteln!("\n── gate: cargo xtask gate");
        let gate = times.take("gate", || Gate::default().run())?;
        lftp_console::note!("\n{}", times.table());
        if gate == Exit::Ok {
            lftp_console::noteln!("ci: all steps passed");
        }
        Ok(gate)
    }
}

/// The duration of each step.
#[derive(Default)]
struct Times(Vec<(&'static str, Duration)>);

impl Times {
    #[expect(
        clippy::disallowed_methods,
        reason = "steps are timed on the real clock"
    )]
    fn take<T>(&mut self, name: &'static str, step: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = step();
        self.0.push((name, started.elapsed()));
        result
    }

    fn table(&self) -> String {
        let table = Table::new([Column::right("seconds", 7), Column::left("step", 0)]);
        let rows = self.0.iter().map(|(name, time)| {
            let seconds = format!("{:.0}", time.as_secs_f64());
            table.row([&seconds, *name]) + "\n"
        });
        table.heading() + "\n" + &rows.collect::<String>()
    }
}
