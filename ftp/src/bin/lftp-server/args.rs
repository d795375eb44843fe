//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use lftp_ftp::{DataPorts, Exit, Rights};
use tracing::level_filters::LevelFilter;

use crate::shared::keys::KeyCommand;
use crate::shared::tuning::Tuning;

/// Share a folder over LFTP
///
/// Clients put files into it, get files from it and list it; nothing outside of it can be
/// reached. A file appears under its final name only when it has arrived completely. Connections
/// are encrypted, and every client proves which key it has: clients whose keys are in the
/// authorized keys file are admitted, others only with --anonymous.
#[derive(Parser, Debug)]
#[command(version, after_long_help = Exit::table(&Exit::SERVER))]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Read settings from this TOML file; its keys are the names of these options, and the
    /// command line takes precedence
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// The folder to share; created if missing
    #[arg(long, value_name = "DIR", default_value = "Server")]
    pub(crate) root: PathBuf,

    /// Address and UDP port of the control connections; port 0 picks any free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:3154")]
    pub(crate) listen: SocketAddr,

    /// UDP ports of the data connections, one transfer at a time on each: 9000-9009, or 9000,9002,
    /// or auto:N (any N free ports), or same (all on the control port, at most ten transfers at
    /// once; same:N for another limit)
    #[arg(long, value_name = "PORTS", default_value = "9000-9009")]
    pub(crate) data_ports: DataPorts,

    /// File with this server's key, by which clients recognise it; created if missing [default:
    /// ~/.config/lftp/server.key]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Keys")]
    pub(crate) key: Option<PathBuf>,

    /// File with the keys of the clients to admit, one per line: options, the KEY that
    /// "lftp-client key" prints, a comment. Options are read, write or rw; root=FOLDER, inside
    /// --root or absolute; quota=10GiB, the limit for what all
    /// files of that folder take on the disk together; entries=100000, the limit for their number
    /// (with a quota, by default one for each 4 KiB of it). Changes
    /// apply to new connections, and end those whose key is removed or has fewer rights; a bad line
    /// is logged and skipped [default: ~/.config/lftp/authorized_keys]
    #[arg(long, value_name = "FILE", help_heading = "Keys")]
    pub(crate) authorized_keys: Option<PathBuf>,

    /// Admit clients without an authorized key too, to read, to write, or both (rw)
    #[arg(long, value_name = "RIGHTS", help_heading = "Keys")]
    pub(crate) anonymous: Option<Rights>,

    /// Maximum number of clients at a time
    #[arg(long, value_name = "N", default_value = "64",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max_clients: u32,

    /// Abort a transfer that makes no progress for this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "60",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) stall_limit: u64,

    /// Let transfers continue for this many seconds after SIGINT or SIGTERM; a second signal
    /// aborts them
    #[arg(long, value_name = "SECONDS", default_value = "10",
          value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) grace: u64,

    /// Keep the partial file of an interrupted transfer for this many hours, so that the client
    /// can resume it
    #[arg(long, value_name = "HOURS", default_value = "168",
          value_parser = clap::value_parser!(u64).range(0..=8760))]
    pub(crate) keep_partial: u64,

    /// Confirm a received file without waiting until it is written to the disk
    #[arg(long)]
    pub(crate) no_fsync: bool,

    #[command(flatten)]
    pub(crate) tuning: Tuning,

    /// Log level on stderr: off, error, warn, info, debug or trace
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "info",
        help_heading = "Output"
    )]
    pub(crate) log: LevelFilter,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Show or create this server's key, by which clients recognise it
    Key {
        #[command(subcommand)]
        command: Option<KeyCommand>,
    },
    /// Show the settings in effect, and the source of each
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum ConfigCommand {
    /// Print all settings in the format of the settings file
    Show,
}
