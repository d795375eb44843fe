//! Network emulation for any UDP program.
//!
//! `netem proxy --listen 127.0.0.1:7000 --to 127.0.0.1:7001 --set loss=10% --set delay=20ms`
//! stands between a client that sends to port 7000 and its server at port 7001.
//!
//! Exit codes: 0 success, 2 wrong usage, 3 an invalid network, 4 the proxy could not start, 5 a
//! packet log or standard output could not be written, 6 the machine was too busy for the run to be valid, 7 nothing
//! to shrink. `exec` exits with its command's code; 125 the system does not allow namespaces, 126
//! and 127 the command cannot be run, or found; 141 standard output has no reader any more.

mod control;
#[cfg(target_os = "linux")]
mod exec;
mod failure;
mod forward;
mod live;
mod network;
mod packet_log;
mod proxy;
mod report;
mod shrink;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use lftp_netem::profile::{DirectionSettings, Preset};

use self::{failure::Failure, network::NetworkArgs, proxy::ProxyArgs};

/// Network emulation for any UDP program, reproducible from a seed.
#[derive(Debug, Parser)]
#[command(name = "netem", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Forward between UDP clients and servers over an impaired network, until Ctrl-C.
    Proxy(Box<ProxyArgs>),
    /// Run a program of any protocol behind an impaired network (Linux).
    #[cfg(target_os = "linux")]
    Exec(Box<exec::ExecArgs>),
    /// Reduce a recording to the few events with which a run still fails.
    Shrink(shrink::ShrinkArgs),
    /// List the networks known by name.
    Presets,
    /// Print a network as a profile in TOML, and as options of tc-netem(8) where it has them.
    Show(NetworkArgs),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(lftp_console::stderr)
        .without_time()
        .with_max_level(tracing::Level::WARN)
        .init();
    let done = match lftp_console::parse::<Cli>("netem", failure::unprintable).command {
        Command::Proxy(args) => proxy::run(*args),
        #[cfg(target_os = "linux")]
        Command::Exec(args) => return exec::run(*args).unwrap_or_else(|failure| fail(&failure)),
        Command::Shrink(args) => shrink::run(&args),
        Command::Presets => presets(),
        Command::Show(network) => show(&network),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    // A reader of standard output that has left has no use for a message either.
    if failure.exit_code() != lftp_console::CLOSED_PIPE_EXIT {
        lftp_console::noteln!("netem: {failure}");
    }
    ExitCode::from(failure.exit_code())
}

fn presets() -> Result<(), Failure> {
    let presets = Preset::ALL.map(|preset| format!("# {preset}\n{}\n\n", preset.toml().trim()));
    Ok(lftp_console::out!("{}", presets.concat())?)
}

fn show(network: &NetworkArgs) -> Result<(), Failure> {
    let network = network.read()?;
    let mut out = Vec::new();
    let toml = toml::to_string(&network).map_err(io::Error::other)?;
    writeln!(out, "{}", toml.trim())?;
    for (direction, settings) in [
        ("forward", network.forward_settings()),
        ("reverse", network.reverse_settings()),
    ] {
        match DirectionSettings::to_tc(&settings) {
            Ok(line) => writeln!(out, "# {direction}: tc qdisc add dev DEV root netem {line}")?,
            Err(error) => writeln!(out, "# {direction}: {error}")?,
        }
    }
    Ok(lftp_console::print_bytes(&out)?)
}
