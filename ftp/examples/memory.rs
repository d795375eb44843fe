//! Memory of a server and a client, as the system counts it.
//!
//! ```text
//! cargo run --release -p lftp-ftp --example memory [CLIENTS] [GIB] [SYNS]
//! ```
//!
//! Each case has processes of its own; the figures are `VmRSS` and `VmHWM` of
//! `/proc/PID/status`, in KiB, before and during the case. Linux only. What the transport holds to
//! the byte, and its bounds, is tested in `transport/tests/memory.rs`.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lftp_ftp::{
    Client, ClientConfig, DataPorts, HashStore, Name, PatternSource, Server, ServerConfig, Store,
    Target,
};
use lftp_transport::proto::Endpoint;
use lftp_transport::{Config, Runtime, Time, TokioRuntime, sleep};

type Failure = Box<dyn Error + Send + Sync>;

/// Name of the file on the server.
const FILE: &str = "file";

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let tokio = tokio::runtime::Runtime::new()?;
    match args.first().map(String::as_str) {
        Some("serve") => tokio.block_on(serve(args[1].parse()?)),
        Some("receive") => tokio.block_on(receive(args[1].parse()?)),
        _ => {
            let number = |index: usize, default: u64| {
                args.get(index).map_or(Ok(default), |text| text.parse())
            };
            let (clients, gib, syns) = (number(0, 1_000)?, number(1, 10)?, number(2, 1_000_000)?);
            println!(
                "{:<36} {:>9} {:>9} {:>9} {:>12}",
                "case, KiB", "before", "now", "peak", "each, bytes"
            );
            tokio.block_on(idle(clients))?;
            flooded(syns)?;
            receiving(gib)
        }
    }
}

/// A server with idle clients.
async fn idle(count: u64) -> Result<(), Failure> {
    let server = Process::start(&["serve", "0"])?;
    let addr: SocketAddr = server.address.parse()?;
    let before = server.memory()?;
    let runtime: Arc<dyn Runtime> = TokioRuntime::new();
    let mut clients = Vec::new();
    for _ in 0..count {
        let client = Client::connect(Arc::clone(&runtime), addr, ClientConfig::default());
        clients.push(client.await?);
    }
    for client in &mut clients {
        client.ls("").await?;
    }
    sleep(&*runtime, Duration::from_secs(5)).await;
    let case = format!("server, {count} idle connections");
    line(&case, before, server.memory()?, Some(count));
    Ok(())
}

/// A server flooded with SYNs from addresses of the loopback network.
#[expect(clippy::disallowed_methods, reason = "other processes have real time")]
fn flooded(count: u64) -> Result<(), Failure> {
    let server = Process::start(&["serve", "0"])?;
    let addr: SocketAddr = server.address.parse()?;
    let forged = forged(512, addr);
    let sockets: Vec<UdpSocket> = (0..250)
        .map(|number| UdpSocket::bind((Ipv4Addr::new(127, 1, 0, number + 1), 0)))
        .collect::<Result<_, _>>()?;
    let send = |numbers: Range<u64>| -> Result<[u64; 2], Failure> {
        for number in numbers {
            let socket = &sockets[number as usize % sockets.len()];
            socket.send_to(&forged[number as usize % forged.len()], addr)?;
        }
        std::thread::sleep(Duration::from_millis(500));
        server.memory()
    };
    let before = server.memory()?;
    let few = send(0..10)?;
    line("server, 10 handshakes in progress", before, few, Some(10));
    let early = send(10..10_000)?;
    line("server, 10,000 forged SYNs", before, early, None);
    let late = send(10_000..count)?;
    line(&format!("server, {count} forged SYNs"), early, late, None);
    Ok(())
}

/// SYNs from unknown addresses.
fn forged(count: usize, to: SocketAddr) -> Vec<Vec<u8>> {
    let mut state: u64 = 0;
    let random = move |bytes: &mut [u8]| {
        for byte in bytes {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
    };
    let mut endpoint = Endpoint::new(Arc::new(Config::default()), Box::new(random));
    let syn = |_| {
        let mut syn = Vec::new();
        endpoint.connect(Time::ZERO, to);
        endpoint.poll_transmit(Time::ZERO, 1, &mut syn);
        syn
    };
    (0..count).map(syn).collect()
}

/// A large file: the memory of both sides during its transfer.
fn receiving(gib: u64) -> Result<(), Failure> {
    let server = Process::start(&["serve", &(gib << 30).to_string()])?;
    let before = server.memory()?;
    let client = Process::start(&["receive", &server.address])?;
    let received = client.memory()?;
    line(
        &format!("client, {gib} GiB received"),
        [0; 2],
        received,
        None,
    );
    line(
        &format!("server, {gib} GiB sent"),
        before,
        server.memory()?,
        None,
    );
    Ok(())
}

fn line(case: &str, before: [u64; 2], now: [u64; 2], count: Option<u64>) {
    let each = count.map(|count| (now[0].saturating_sub(before[0]) * 1024 / count).to_string());
    let each = each.unwrap_or_default();
    let (before, [now, peak]) = (before[0], now);
    println!("{case:<36} {before:>9} {now:>9} {peak:>9} {each:>12}");
}

/// This program as a child process, a server or a client; killed when dropped.
struct Process {
    child: Child,
    /// First line of its output.
    address: String,
    _out: BufReader<ChildStdout>,
}

impl Process {
    /// Starts the process and waits for its first line.
    fn start(args: &[&str]) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut out = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut address = String::new();
        out.read_line(&mut address)?;
        Ok(Self {
            child,
            address: address.trim().to_owned(),
            _out: out,
        })
    }

    /// `VmRSS` and `VmHWM`, in KiB.
    fn memory(&self) -> Result<[u64; 2], Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| -> Result<u64, Failure> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            Ok(number.ok_or("no such field")?.parse()?)
        };
        Ok([field("VmRSS:")?, field("VmHWM:")?])
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended on its own; either way it is over then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints a line for the parent process, and waits until that ends.
fn tell(what: &str) -> Result<(), Failure> {
    println!("{what}");
    std::io::stdout().flush()?;
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

async fn serve(bytes: u64) -> Result<(), Failure> {
    let files = HashStore::new();
    files.offer(&Name::parse(FILE)?, PatternSource::new(1, bytes));
    let mut config = ServerConfig::default();
    config.listen = (Ipv4Addr::LOCALHOST, 0).into();
    config.data_ports = DataPorts::Same(10);
    config.max_clients = 10_000;
    // All clients of this program are one address.
    config.transport.address_limit = 10_000;
    let server = Server::bind(TokioRuntime::new(), config, Arc::new(files))?;
    let addr = server.local_addr();
    tokio::spawn(server.run());
    tokio::task::spawn_blocking(move || tell(&addr.to_string())).await?
}

async fn receive(addr: SocketAddr) -> Result<(), Failure> {
    let store: Arc<dyn Store> = Arc::new(HashStore::new());
    let mut client = Client::connect(TokioRuntime::new(), addr, ClientConfig::default()).await?;
    let target = Target {
        store: &store,
        name: &Name::parse(FILE)?,
        overwrite: true,
    };
    let receipt = client.get(FILE, target, &()).await?;
    tokio::task::spawn_blocking(move || tell(&receipt.bytes.to_string())).await?
}
