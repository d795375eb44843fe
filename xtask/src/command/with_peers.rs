//! The same command line again, in a program that has the other transports compiled in.
//!
//! `cargo xtask` is built without them (see the feature `peers` in `Cargo.toml`). A command that
//! turns out to need one hands its arguments to `xtask-peers` through cargo, which builds it
//! first if necessary. The two programs have names of their own: cargo keeps both, and going
//! back and forth between them compiles nothing again.

use std::process::Command;

use crate::error::CommandError;
use crate::exit::Exit;
use crate::scenario;

/// True if this program has the other transports.
pub(super) const HAS_PEERS: bool = cfg!(feature = "peers");

/// Runs the command line of this process in `xtask-peers`, and ends with its exit code.
///
/// # Errors
/// [`CommandError`] when cargo cannot be started.
pub(super) fn run_again(command: &str) -> Result<Exit, CommandError> {
    lftp_console::noteln!("{command}: needs other transports; running xtask-peers through cargo");
    let manifest = scenario::workspace().join("Cargo.toml");
    let mut cargo = Command::new(super::cargo());
    cargo.arg("run");
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo
        .args([
            "--package",
            "xtask",
            "--no-default-features",
            "--features",
            "peers",
        ])
        .args(["--bin", "xtask-peers", "--manifest-path"])
        .arg(manifest)
        .arg("--")
        .args(std::env::args_os().skip(1));
    replace_process(cargo)
}

/// Replaces this process, so that signals and the exit code need no forwarding.
#[cfg(unix)]
fn replace_process(mut cargo: Command) -> Result<Exit, CommandError> {
    use std::os::unix::process::CommandExt;

    Err(CommandError::file("cargo".as_ref(), cargo.exec()))
}

#[cfg(not(unix))]
fn replace_process(mut cargo: Command) -> Result<Exit, CommandError> {
    let status = cargo
        .status()
        .map_err(|error| CommandError::file("cargo".as_ref(), error))?;
    std::process::exit(status.code().unwrap_or(Exit::Failed as i32))
}
