//! `netem exec`: a program behind the network, as long as it runs.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    net::Ipv4Addr,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, ExitCode, ExitStatus},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use lftp_netem::{
    exec::{Exec, ExecConfig, Far, Leave},
    proxy::ProxyReport,
};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use crate::{failure::Failure, network::Given, packets::Wanted, proxy::Way, words};

/// How long a peer may take until it waits for somebody, and how often it is looked.
const PEER_TIME: Duration = Duration::from_secs(5);
const PEER_LOOK: Duration = Duration::from_millis(10);
/// How long a program may take to end once it is asked to.
const END_TIME: Duration = Duration::from_secs(2);

const HELP: &str = "\
The command lives in a network namespace of its own, whose only way out is the network given.
With --peer the other end is a second namespace, and no privileges are needed where user
namespaces are allowed; without, it is this machine, whose services are reached at the far
address, and netem must be root. Both find the addresses in NETEM_NEAR and NETEM_FAR.

  netem exec --profile lte --peer 'iperf3 -s' -- iperf3 -c 10.77.0.2
  sudo netem exec --set rate=20mbit --set delay=20ms -- curl http://10.77.0.2:8000/file

It ends as the command does: with its exit code, or 128 and the number of the signal. 125: the
system does not allow it; 126, 127: the command cannot be run, or found; 6: the command went
well, but the machine was too busy for the run to be valid.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    network: Given,
    /// A program for the other side, in a namespace of its own; sh -c runs it, and it is ended
    /// after the command. The command is started when the peer waits for somebody.
    #[arg(long, value_name = "COMMAND")]
    peer: Option<String>,
    /// Which way is the network's forward one: up from the command, or down to it.
    #[arg(long, value_name = "WAY", default_value = "up")]
    forward: Way,
    /// The same seed gives the same packets the same fates.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    packets: Wanted,
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

/// What ends the waiting.
enum Event {
    Ended(io::Result<ExitStatus>),
    /// Somebody wants netem to stop.
    Stop,
}

pub(crate) fn run(args: ExecArgs) -> Result<ExitCode, Failure> {
    if args.network.is_nothing() {
        return Err(Failure::NoNetwork);
    }
    let far = match args.peer {
        Some(_) => Far::Namespace,
        None => Far::Host,
    };
    let mut config = ExecConfig::new(args.network.read()?, far, args.seed);
    config.near_to_far = args.forward.client_to_server();
    config.addresses = args.addresses;
    // Before there is a second thread; the files of the packets have one each.
    let leave = Leave::get(far)?;
    let (files, on_records) = args.packets.create()?;
    config.on_records = on_records;
    config.capture = args.packets.contents();
    let exec = Exec::start(leave, config)?;

    let (events, inbox) = mpsc::channel();
    let stop = events.clone();
    ctrlc::set_handler(move || stop.send(Event::Stop).unwrap_or_default())?;
    let mut peer = match &args.peer {
        Some(command) => Some(Peer::start(&exec, command)?),
        None => None,
    };
    let ended = run_command(&exec, &args.command, events, &inbox);
    if let Some(peer) = &mut peer {
        peer.end();
    }
    let report = exec.stop();
    files.finish()?;
    let status = ended?;
    tell(&report, &args)?;
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
    words: &[OsString],
    events: mpsc::Sender<Event>,
    inbox: &Receiver<Event>,
) -> Result<ExitStatus, Failure> {
    let name = words[0].to_string_lossy().into_owned();
    let failed = |source| Failure::Command {
        command: name.clone(),
        source,
    };
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    with_addresses(&mut command, exec);
    let mut child = exec.spawn_near(command).map_err(failed)?;
    let pid = pid(&child);
    let waiting = thread::Builder::new().spawn(move || {
        // Nobody listens any more only when netem ends.
        let _ = events.send(Event::Ended(child.wait()));
    });
    waiting.map_err(failed)?;
    let mut signals = [Signal::SIGTERM, Signal::SIGKILL].into_iter();
    let mut asked = false;
    loop {
        // Ctrl-C goes to the command as well, which may want to end in its own way first.
        let event = match asked {
            true => inbox.recv_timeout(END_TIME),
            false => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match event {
            Ok(Event::Ended(status)) => return status.map_err(failed),
            Ok(Event::Stop) => asked = true,
            Err(_) => match signals.next() {
                // It fails when the command has just ended.
                Some(signal) => kill(pid, signal).unwrap_or_default(),
                None => return inbox_status(inbox).map_err(failed),
            },
        }
    }
}

/// What the command's end was, once it has come.
fn inbox_status(inbox: &Receiver<Event>) -> io::Result<ExitStatus> {
    loop {
        match inbox.recv() {
            Ok(Event::Ended(status)) => return status,
            Ok(Event::Stop) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

fn with_addresses(command: &mut Command, exec: &Exec) {
    command.env("NETEM_NEAR", exec.near_ip().to_string());
    command.env("NETEM_FAR", exec.far_ip().to_string());
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

fn tell(report: &ProxyReport, args: &ExecArgs) -> Result<(), Failure> {
    if let Some(path) = &args.report {
        let json = serde_json::to_string(report).map_err(io::Error::from)?;
        fs::write(path, json + "\n").map_err(|source| {
            io::Error::new(source.kind(), format!("{}: {source}", path.display()))
        })?;
    }
    if !args.quiet {
        // Standard output is the command's.
        let mut text = Vec::new();
        words::write(&mut text, report)?;
        io::stderr().lock().write_all(&text)?;
    }
    Ok(())
}

/// The program on the other side.
struct Peer(Child);

impl Peer {
    /// Starts it, and waits until it waits for somebody.
    fn start(exec: &Exec, words: &str) -> Result<Self, Failure> {
        let failed = |source| Failure::Command {
            command: words.to_owned(),
            source,
        };
        let mut command = Command::new("sh");
        // A group of its own: what the shell starts ends with it, and Ctrl-C is the command's.
        command.arg("-c").arg(words).process_group(0);
        with_addresses(&mut command, exec);
        let mut peer = Self(exec.spawn_far(command).map_err(failed)?);
        let started = now();
        while !exec.far_is_listening() && started.elapsed() < PEER_TIME {
            if let Some(status) = peer.0.try_wait().map_err(failed)? {
                return Err(Failure::Peer(status));
            }
            nap(PEER_LOOK);
        }
        Ok(peer)
    }

    /// Ends it, gently at first.
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
