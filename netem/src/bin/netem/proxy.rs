//! `netem proxy`: between UDP clients and servers, until Ctrl-C.

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use lftp_netem::{
    profile::DurationNs,
    proxy::{Proxy, ProxyConfig, ProxyReport},
};

use crate::{
    control::{self, Control},
    failure::Failure,
    forward::ForwardArgs,
    live::Live,
    network::NetworkArgs,
    packet_log::PacketLogArgs,
    report,
};

/// The interval at which the live view is redrawn.
const LIVE_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
#[command(after_help = control::HELP)]
pub(crate) struct ProxyArgs {
    /// The address that clients send to, such as 127.0.0.1:7000 (port 0: any free one). One for
    /// each --to.
    #[arg(long, value_name = "ADDR", required = true)]
    listen: Vec<SocketAddr>,
    /// The server behind it. The first --to belongs to the first --listen, and so on.
    #[arg(long, value_name = "ADDR", required = true)]
    to: Vec<SocketAddr>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    forward: ForwardArgs,
    /// Seed of the network: with the same seed the same packets meet the same losses and delays.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// At this interval, such as 30s, give each client another port towards its server, as a NAT
    /// does that has forgotten it.
    #[arg(long, value_name = "TIME")]
    rebind_every: Option<DurationNs>,
    #[command(flatten)]
    packets: PacketLogArgs,
    /// Serve status and take changes of the network over HTTP at this address, such as
    /// 127.0.0.1:0 (any free port); see below.
    #[arg(long, value_name = "ADDR")]
    control: Option<SocketAddr>,
    /// Let --control be reached from other machines.
    #[arg(long, requires = "control")]
    control_anyone: bool,
    /// Show rates, queues and lateness twice a second.
    #[arg(long)]
    live: bool,
    /// Stop after this time, such as 10s. Default: not before Ctrl-C.
    #[arg(long, value_name = "TIME")]
    duration: Option<DurationNs>,
    /// Print the report as one line of JSON.
    #[arg(long)]
    json: bool,
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
    config.links.client_to_server = args.forward.client_to_server();
    config.listen = args
        .listen
        .into_iter()
        .zip(args.to.iter().copied())
        .collect();
    let (files, on_records) = args.packets.create()?;
    config.rebind_every = args.rebind_every.map(|every| Duration::from_nanos(every.0));
    config.on_records = on_records;
    config.capture = args.packets.needs_contents();

    let (stop, stopped) = mpsc::channel();
    // The receiver is gone after the first signal.
    ctrlc::set_handler(move || stop.send(()).unwrap_or_default())?;
    let proxy = Proxy::start(config)?;
    for (listen, to) in proxy.listen_addrs().iter().zip(&args.to) {
        lftp_console::noteln!("listening on {listen}, sending on to {to}");
    }
    if let Some(address) = args.control {
        let control = Control::start(address, proxy.handle(), network);
        let control = control.map_err(|source| Failure::Control { address, source })?;
        lftp_console::noteln!("control at http://{}/", control.address());
    }
    wait(
        &stopped,
        args.duration.map(DurationNs::duration),
        args.live.then(|| Live::new(proxy.handle())),
    );
    let report = proxy.stop();
    // The files first: they are complete even if the report cannot be printed.
    files.finish()?;
    print(&report, args.json)?;
    if report.valid {
        Ok(())
    } else {
        Err(Failure::Invalid(report.reason))
    }
}

/// Waits until `duration` is over or a signal comes, and draws the live view meanwhile.
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

fn print(report: &ProxyReport, json: bool) -> Result<(), Failure> {
    let mut text = Vec::new();
    if json {
        writeln!(
            text,
            "{}",
            serde_json::to_string(report).map_err(io::Error::from)?
        )?;
    } else {
        report::write(&mut text, report)?;
    }
    Ok(lftp_console::print_bytes(&text)?)
}
