//! The bench: `cargo xtask scenario lossy-10pct`.
//!
//! | module | what |
//! |---|---|
//! | [`command`] | one file a subcommand |
//! | [`scenario`] | what is asked for |
//! | [`run`] | the same client and server on either clock |
//! | [`peer`] | other people's transports in the same world |
//! | [`loopback`] | transports on real sockets, with nothing in their way |
//! | `faults` | everything that can go wrong, at once |
//! | [`record`], [`rows`] | what is heard, and the rows and numbers that come of it |
//! | [`output`], [`chart`], [`report`] | files, pictures, the page |
//! | [`batch`] | many runs at once, for gate, compare and sweep |

mod batch;
mod chart;
mod command;
mod exit;
#[cfg(target_os = "linux")]
mod faults;
mod loopback;
mod output;
mod peer;
mod progress;
mod record;
mod report;
mod rows;
mod run;
mod scenario;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .init();
    match command::Cli::parse().run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {error}");
            error.exit().into()
        }
    }
}
