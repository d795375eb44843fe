//! A bad network for any UDP program.
//!
//! `netem proxy --listen 127.0.0.1:7000 --to 127.0.0.1:7001 --set loss=10% --set delay=20ms`
//! stands between a client, told to talk to port 7000, and its server at port 7001.
//!
//! Exit codes: 0 done, 2 wrong usage, 3 a network that cannot be, 4 the proxy could not start,
//! 5 the packets' file could not be written, 6 the machine was too busy for the run to be valid.

mod network;
mod packets;
mod words;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::mpsc,
};

use clap::{Args, Parser, Subcommand};
use lftp_netem::{
    profile::{DirectionSettings, DurationNs, Preset},
    proxy::{Proxy, ProxyConfig, ProxyError, ProxyReport},
};

use self::{
    network::{Given, NetworkError},
    packets::PacketFile,
};

/// A bad network for any UDP program, the same every time for the same seed.
#[derive(Debug, Parser)]
#[command(name = "netem", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Stand between UDP clients and servers, and impair what passes, until Ctrl-C.
    Proxy(ProxyArgs),
    /// Say which networks are known by name.
    Presets,
    /// Print a network as a profile in TOML, and as options of tc-netem(8) where it has them.
    Show(Given),
}

#[derive(Debug, Args)]
struct ProxyArgs {
    /// Where clients send to, such as 127.0.0.1:7000 (port 0: any free one). One for each --to.
    #[arg(long, value_name = "ADDR", required = true)]
    listen: Vec<SocketAddr>,
    /// The server behind it. The first --to belongs to the first --listen, and so on.
    #[arg(long, value_name = "ADDR", required = true)]
    to: Vec<SocketAddr>,
    #[command(flatten)]
    network: Given,
    /// The same seed gives the same packets the same fates.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write what became of every packet to this file, as CSV.
    #[arg(long, value_name = "FILE")]
    packets: Option<PathBuf>,
    /// Stop after so long, such as 10s. Default: not before Ctrl-C.
    #[arg(long, value_name = "TIME")]
    duration: Option<DurationNs>,
    /// Print the report as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Why there is no report, or only a bad one.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{listen} --listen but {to} --to: each address to listen on needs its server")]
    Unpaired { listen: usize, to: usize },
    #[error("no network is given: --profile 4g, --profile FILE, --tc \"loss 1%\" or --set loss=1%")]
    NoNetwork,
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Start(#[from] ProxyError),
    #[error("cannot wait for Ctrl-C: {0}")]
    Signal(#[from] ctrlc::Error),
    #[error("cannot write the packets to {}: {source}", path.display())]
    Packets { path: PathBuf, source: io::Error },
    #[error("cannot print the report: {0}")]
    Print(#[from] io::Error),
    #[error("this run is not valid: {0}")]
    Invalid(String),
}

impl Failure {
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Unpaired { .. } | Self::NoNetwork => 2,
            Self::Network(_) => 3,
            Self::Start(_) | Self::Signal(_) => 4,
            Self::Packets { .. } | Self::Print(_) => 5,
            Self::Invalid(_) => 6,
        }
    }
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .without_time()
        .with_max_level(tracing::Level::WARN)
        .init();
    let done = match Cli::parse().command {
        Command::Proxy(args) => proxy(args),
        Command::Presets => presets(),
        Command::Show(given) => show(&given),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("netem: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn presets() -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for preset in Preset::ALL {
        writeln!(out, "# {preset}\n{}\n", preset.toml().trim())?;
    }
    Ok(())
}

fn show(given: &Given) -> Result<(), Failure> {
    let network = given.read()?;
    let mut out = io::stdout().lock();
    let toml = toml::to_string(&network).map_err(io::Error::other)?;
    writeln!(out, "{}", toml.trim())?;
    for (way, settings) in [
        ("forward", network.forward_settings()),
        ("reverse", network.reverse_settings()),
    ] {
        match DirectionSettings::to_tc(&settings) {
            Ok(line) => writeln!(out, "# {way}: tc qdisc add dev DEV root netem {line}")?,
            Err(error) => writeln!(out, "# {way}: {error}")?,
        }
    }
    Ok(())
}

fn proxy(args: ProxyArgs) -> Result<(), Failure> {
    let (listen, to) = (args.listen.len(), args.to.len());
    if listen != to {
        return Err(Failure::Unpaired { listen, to });
    }
    if args.network.is_nothing() {
        return Err(Failure::NoNetwork);
    }
    let network = args.network.read()?;
    let mut config = ProxyConfig::new(&network, args.seed);
    config.listen = args
        .listen
        .into_iter()
        .zip(args.to.iter().copied())
        .collect();
    let packets = match args.packets {
        Some(path) => {
            let created = PacketFile::create(&path);
            let (file, on_records) = created.map_err(|source| Failure::Packets {
                path: path.clone(),
                source,
            })?;
            config.on_records = Some(on_records);
            Some((path, file))
        }
        None => None,
    };

    let (stop, stopped) = mpsc::channel();
    // Nobody listens any more after the first.
    ctrlc::set_handler(move || stop.send(()).unwrap_or_default())?;
    let proxy = Proxy::start(config)?;
    for (listen, to) in proxy.listen_addrs().iter().zip(&args.to) {
        eprintln!("listening on {listen}, sending on to {to}");
    }
    match args.duration {
        // Either it is time, or somebody says so.
        Some(duration) => drop(stopped.recv_timeout(duration.duration())),
        None => drop(stopped.recv()),
    }
    let report = proxy.stop();
    print(&report, args.json)?;
    if let Some((path, file)) = packets {
        file.finish()
            .map_err(|source| Failure::Packets { path, source })?;
    }
    if report.valid {
        Ok(())
    } else {
        Err(Failure::Invalid(report.reason))
    }
}

fn print(report: &ProxyReport, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(report)?)
    } else {
        words::write(&mut out, report)
    }
}
