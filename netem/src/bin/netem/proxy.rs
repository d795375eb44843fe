//! `netem proxy`: between UDP clients and servers, until Ctrl-C.

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use lftp_netem::{
    Direction,
    profile::DurationNs,
    proxy::{Proxy, ProxyConfig, ProxyReport},
};

use crate::{
    control::{self, Control},
    failure::Failure,
    live::Live,
    network::Given,
    packets::Wanted,
    words,
};

/// How often the live view is drawn anew.
const LIVE_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
#[command(after_help = control::HELP)]
pub(crate) struct ProxyArgs {
    /// Where clients send to, such as 127.0.0.1:7000 (port 0: any free one). One for each --to.
    #[arg(long, value_name = "ADDR", required = true)]
    listen: Vec<SocketAddr>,
    /// The server behind it. The first --to belongs to the first --listen, and so on.
    #[arg(long, value_name = "ADDR", required = true)]
    to: Vec<SocketAddr>,
    #[command(flatten)]
    network: Given,
    /// Which way is the network's forward one.
    #[arg(long, value_name = "WAY", default_value = "up")]
    forward: Way,
    /// The same seed gives the same packets the same fates.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Every so often, such as 30s, give each client another port towards its server, as a NAT
    /// does that has forgotten it.
    #[arg(long, value_name = "TIME")]
    rebind_every: Option<DurationNs>,
    #[command(flatten)]
    packets: Wanted,
    /// Take questions and changes of the network over HTTP at this address, such as 127.0.0.1:0
    /// (any free port); see below.
    #[arg(long, value_name = "ADDR")]
    control: Option<SocketAddr>,
    /// Let --control be reached from other machines.
    #[arg(long, requires = "control")]
    control_anyone: bool,
    /// Show twice a second how things stand.
    #[arg(long)]
    live: bool,
    /// Stop after so long, such as 10s. Default: not before Ctrl-C.
    #[arg(long, value_name = "TIME")]
    duration: Option<DurationNs>,
    /// Print the report as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Which way packets go.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

impl Way {
    /// The direction in which packets go from client to server when this way is forward.
    pub(crate) const fn client_to_server(self) -> Direction {
        match self {
            Self::Up => Direction::Forward,
            Self::Down => Direction::Reverse,
        }
    }
}

pub(crate) fn run(args: ProxyArgs) -> Result<(), Failure> {
    let (listen, to) = (args.listen.len(), args.to.len());
    if listen != to {
        return Err(Failure::Unpaired { listen, to });
    }
    if args.network.is_nothing() {
        return Err(Failure::NoNetwork);
    }
    if let Some(address) = args.control
        && !address.ip().is_loopback()
        && !args.control_anyone
    {
        return Err(Failure::ControlForAnyone(address));
    }
    let network = args.network.read()?;
    let mut config = ProxyConfig::new(&network, args.seed);
    config.client_to_server = args.forward.client_to_server();
    config.listen = args
        .listen
        .into_iter()
        .zip(args.to.iter().copied())
        .collect();
    let (files, on_records) = args.packets.create()?;
    config.rebind_every = args.rebind_every.map(|every| Duration::from_nanos(every.0));
    config.on_records = on_records;
    config.capture = args.packets.contents();

    let (stop, stopped) = mpsc::channel();
    // Nobody listens any more after the first.
    ctrlc::set_handler(move || stop.send(()).unwrap_or_default())?;
    let proxy = Proxy::start(config)?;
    for (listen, to) in proxy.listen_addrs().iter().zip(&args.to) {
        eprintln!("listening on {listen}, sending on to {to}");
    }
    if let Some(address) = args.control {
        let control = Control::start(address, proxy.handle(), network);
        let control = control.map_err(|source| Failure::Control { address, source })?;
        eprintln!("control at http://{}/", control.address());
    }
    wait(
        &stopped,
        args.duration.map(DurationNs::duration),
        args.live.then(|| Live::new(proxy.handle())),
    );
    let report = proxy.stop();
    print(&report, args.json)?;
    files.finish()?;
    if report.valid {
        Ok(())
    } else {
        Err(Failure::Invalid(report.reason))
    }
}

/// Until it is time, or somebody says so.
fn wait(stopped: &mpsc::Receiver<()>, duration: Option<Duration>, mut live: Option<Live>) {
    let mut left = duration.unwrap_or(Duration::MAX);
    while !left.is_zero() {
        let nap = match live {
            Some(_) => left.min(LIVE_EVERY),
            None => left,
        };
        match stopped.recv_timeout(nap) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
        left = left.saturating_sub(nap);
        if let Some(live) = &mut live {
            live.draw();
        }
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
