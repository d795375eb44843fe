//! The benchmark suite behind `cargo xtask`: runs scenarios, measures them, and compares.
//!
//! | module | contents |
//! |---|---|
//! | `command` | the subcommands, one a file |
//! | `scenario` | the scenario file |
//! | `run` | the same client and server on either clock |
//! | `peer` | other people's transports on the same network |
//! | `loopback` | transports over real sockets without a network in between |
//! | `faults` | crashes, failing disks and attackers, all at once |
//! | `record`, `rows` | the logs of a run, and the rows and numbers derived from them |
//! | `output`, `chart`, `report` | files, charts, the HTML page |
//! | `table` | tables on the terminal |
//! | `batch` | many runs in parallel, for gate, compare and sweep |
//!
//! There are two programs around it. `xtask` is the usual one; `xtask-peers` has the feature
//! `peers` on, which compiles quinn, s2n-quic, KCP and the kernel's TCP in. A command that needs
//! them starts `xtask-peers` through cargo (see `command`), so that everything else is built
//! without them.

mod batch;
mod chart;
mod command;
mod error;
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
mod table;

use std::process::ExitCode;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(lftp_console::stderr))
        .with(log_filter())
        .init();
    match lftp_console::parse::<command::Cli>("error", exit::unprintable).run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            // A reader of standard output that has left has no use for a message either.
            if error.exit() != exit::Exit::ClosedPipe {
                lftp_console::noteln!("error: {error}");
            }
            error.exit().into()
        }
    }
}

/// The filter of `RUST_LOG`, or warnings only. Targets and levels are all that is understood:
/// filters on spans and fields need a regular expression engine, which is slow to compile.
fn log_filter() -> Targets {
    std::env::var("RUST_LOG")
        .ok()
        .and_then(|directives| directives.parse().ok())
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN))
}
