//! `netem exec`: a program behind the network, as long as it runs.

use std::{
    ffi::OsString,
    fs, io,
    net::Ipv4Addr,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, ExitCode, ExitStatus},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use lftp_netem::{
    exec::{Exec, ExecConfig, Permission, ServerLocation},
    proxy::ProxyReport,
};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use crate::{
    failure::Failure, forward::ForwardArgs, network::NetworkArgs, packet_log::PacketLogArgs, report,
};

/// The longest time until a peer listens, and the interval at which that is checked.
const PEER_TIME: Duration = Duration::from_secs(5);
const PEER_LOOK: Duration = Duration::from_millis(10);
/// The longest time that a program may take to end once it is asked to.
const END_TIME: Duration = Duration::from_secs(2);

const HELP: &str = "\
The command runs in a network namespace of its own, whose only way out is the network given.
With --peer the server's end is a second namespace, and no privileges are needed where user
namespaces are allowed; without, it is this machine, whose services are reached at the server's
address, and netem must be root. Command and peer find the addresses in NETEM_CLIENT and
NETEM_SERVER.

  netem exec --profile lte --peer 'iperf3 -s' -- iperf3 -c 10.77.0.2
  sudo netem exec --set rate=20mbit --set delay=20ms -- curl http://10.77.0.2:8000/file

The exit code is the command's, or 128 plus the number of the signal that ended it. 125: the
system does not allow namespaces; 126, 127: the command cannot be run, or found; 6: the command
succeeded, but the machine was too busy for the run to be valid.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// A program for the server's end, in a namespace of its own; sh -c runs it, and it is ended
    /// after the command. The command starts once the peer listens.
    #[arg(long, value_name = "COMMAND")]
    peer: Option<String>,
    #[command(flatten)]
    forward: ForwardArgs,
    /// Seed of the network: with the same seed the same packets meet the same losses and delays.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    packets: PacketLogArgs,
    /// The first of four addresses; the next two are those of the ends.
    #[arg(long, value_name = "IP", default_value = "10.77.0.0")]
    addresses: Ipv4Addr,
    /// Write the report to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Do not print the report.
    #[arg(long)]
    quiet: bool,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

enum Event {
    /// The command has ended.
    Ended(io::Result<ExitStatus>),
    /// Ctrl-C or SIGTERM.
    Stop,
}

pub(crate) fn run(args: ExecArgs) -> Result<ExitCode, Failure> {
    if args.network.is_nothing() {
        return Err(Failure::NoNetwork);
    }
    let server = match args.peer {
        Some(_) => ServerLocation::Namespace,
        None => ServerLocation::Host,
    };
    let mut config = ExecConfig::new(&args.network.read()?, server, args.seed);
    config.links.client_to_server = args.forward.client_to_server();
    config.addresses = args.addresses;
    // A user namespace can only be entered before there is a second thread, and each of the packet
    // logs has one.
    let permission = Permission::acquire(server)?;
    let (files, on_records) = args.packets.create()?;
    config.on_records = on_records;
    config.capture = args.packets.needs_contents();
    let exec = Exec::start(permission, config)?;

    let (events, received) = mpsc::channel();
    let stop = events.clone();
    ctrlc::set_handler(move || stop.send(Event::Stop).unwrap_or_default())?;
    let mut peer = match &args.peer {
        Some(command) => Some(Peer::start(&exec, command)?),
        None => None,
    };
    let ended = run_command(&exec, &args.command, events, &received);
    if let Some(peer) = &mut peer {
        peer.end();
    }
    let report = exec.stop();
    files.finish()?;
    let status = ended?;
    print(&report, &args)?;
    Ok(match (status.code(), status.signal()) {
        (Some(0), _) if !report.valid => return Err(Failure::Invalid(report.reason)),
        (Some(code), _) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, signal) => {
            ExitCode::from(u8::try_from(128 + signal.unwrap_or(0)).unwrap_or(u8::MAX))
        }
    })
}

/// Runs the command to its end.
fn run_command(
    exec: &Exec,
    command_line: &[OsString],
    events: mpsc::Sender<Event>,
    received: &Receiver<Event>,
) -> Result<ExitStatus, Failure> {
    let name = command_line[0].to_string_lossy().into_owned();
    let failed = |source| Failure::Command {
        command: name.clone(),
        source,
    };
    let mut command = Command::new(&command_line[0]);
    command.args(&command_line[1..]);
    with_addresses(&mut command, exec);
    let mut child = exec.spawn_client(command).map_err(failed)?;
    let pid = pid(&child);
    let waiting = thread::Builder::new().spawn(move || {
        // The receiver is gone only when netem ends.
        let _ = events.send(Event::Ended(child.wait()));
    });
    waiting.map_err(failed)?;
    let mut signals = [Signal::SIGTERM, Signal::SIGKILL].into_iter();
    let mut asked = false;
    loop {
        // Ctrl-C reaches the command as well, which may want to end in its own way first.
        let event = match asked {
            true => received.recv_timeout(END_TIME),
            false => received.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match event {
            Ok(Event::Ended(status)) => return status.map_err(failed),
            Ok(Event::Stop) => asked = true,
            Err(_) => match signals.next() {
                // It fails when the command has just ended.
                Some(signal) => kill(pid, signal).unwrap_or_default(),
                None => return wait_for_end(received).map_err(failed),
            },
        }
    }
}

/// Waits for the command's end.
fn wait_for_end(received: &Receiver<Event>) -> io::Result<ExitStatus> {
    loop {
        match received.recv() {
            Ok(Event::Ended(status)) => return status,
            Ok(Event::Stop) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

fn with_addresses(command: &mut Command, exec: &Exec) {
    // NETEM_NEAR and NETEM_FAR are the names of before, which scripts may still use.
    for name in ["NETEM_CLIENT", "NETEM_NEAR"] {
        command.env(name, exec.client_ip().to_string());
    }
    for name in ["NETEM_SERVER", "NETEM_FAR"] {
        command.env(name, exec.server_ip().to_string());
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

fn print(report: &ProxyReport, args: &ExecArgs) -> Result<(), Failure> {
    if let Some(path) = &args.report {
        let json = serde_json::to_string(report).map_err(io::Error::from)?;
        fs::write(path, json + "\n").map_err(|source| {
            io::Error::new(source.kind(), format!("{}: {source}", path.display()))
        })?;
    }
    if !args.quiet {
        // Standard output is the command's.
        let mut text = Vec::new();
        report::write(&mut text, report)?;
        lftp_console::note!("{}", String::from_utf8_lossy(&text));
    }
    Ok(())
}

/// The program on the server's side.
struct Peer(Child);

impl Peer {
    /// Starts the program and waits until it listens.
    fn start(exec: &Exec, script: &str) -> Result<Self, Failure> {
        let failed = |source| Failure::Command {
            command: script.to_owned(),
            source,
        };
        let mut command = Command::new("sh");
        // A group of its own: what the shell starts ends with it, and Ctrl-C is the command's.
        command.arg("-c").arg(script).process_group(0);
        with_addresses(&mut command, exec);
        let mut peer = Self(exec.spawn_server(command).map_err(failed)?);
        let started = now();
        while !exec.server_is_listening() && started.elapsed() < PEER_TIME {
            if let Some(status) = peer.0.try_wait().map_err(failed)? {
                return Err(Failure::Peer(status));
            }
            nap(PEER_LOOK);
        }
        Ok(peer)
    }

    /// Ends the program: with SIGTERM, and with SIGKILL when that does not help.
    fn end(&mut self) {
        let group = pid(&self.0);
        // It fails when all have ended already.
        let _ = killpg(group, Signal::SIGTERM);
        let asked = now();
        while matches!(self.0.try_wait(), Ok(None)) && asked.elapsed() < END_TIME {
            nap(PEER_LOOK);
        }
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.end();
    }
}

#[expect(clippy::disallowed_methods, reason = "waits for a program")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "waits for a program")]
fn nap(time: Duration) {
    thread::sleep(time);
}
