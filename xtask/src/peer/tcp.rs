//! The kernel's TCP, in real time: a socket in each of two network namespaces, and between them
//! two TUN devices with the link model in between, which gets every IP packet.
//!
//! The kernel splits what it sends to the device's MTU before the link sees it. Its buffers may
//! grow to eight bandwidth-delay products, or to the system's defaults where those are larger;
//! all else is as the system has it. Nothing is encrypted.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use lftp_netem::Direction;
use lftp_netem::exec::{Exec, ExecConfig, Permission, ServerLocation};
use lftp_transport::TokioRuntime;
use rustix::net::sockopt::set_tcp_congestion;
use rustix::net::{AddressFamily, SocketType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::name::{Foreign, TcpCongestion};
use super::protocol::{self, ByteStream, Request};
use super::task::{PORT, Span, record, request, timed, window_bytes};
use crate::record::{LinkLog, Validity};
use crate::rows::RunRecord;
use crate::run::{Plan, RunError};
use crate::scenario::Operation;

/// The most that buffers grow to, in bandwidth-delay products.
const WINDOWS: u64 = 8;

/// The kernel's overhead of a buffer: as much as the data
/// (`tcp_adv_win_scale`, tcp(7)).
const OVERHEAD: u64 = 2;

/// Runs TCP through a plan.
pub(super) fn run(plan: &Plan, congestion: TcpCongestion) -> Result<RunRecord, RunError> {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(system("start the runtime"))?;
    let link = Arc::new(Mutex::new(LinkLog::new(plan.detail)));
    let exec = start(plan, &link)?;
    let window = OVERHEAD * window_bytes(&plan.scenario, WINDOWS, 0);
    exec.on_client(move || grow_buffers(window))
        .and_then(|()| exec.on_server(move || grow_buffers(window)))
        .map_err(system("set the sizes of TCP's buffers"))?;
    let timings = tokio.block_on(transfer_all(plan, &exec, congestion))?;
    let validity = Validity::from(&exec.stop());
    let link = std::mem::replace(
        &mut *link.lock().unwrap_or_else(PoisonError::into_inner),
        LinkLog::new(plan.detail),
    );
    Ok(record(
        plan,
        Foreign::Tcp(congestion),
        timings,
        link,
        validity,
    ))
}

fn start(plan: &Plan, link: &Arc<Mutex<LinkLog>>) -> Result<Exec, RunError> {
    let scenario = &plan.scenario;
    let mut config = ExecConfig::new(&scenario.network, ServerLocation::Namespace, plan.seed);
    config.links.client_to_server = match scenario.transfer.operation {
        Operation::Put => Direction::Forward,
        Operation::Get => Direction::Reverse,
    };
    let link = Arc::clone(link);
    config.on_records = Some(Box::new(move |records| {
        link.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(records);
    }));
    Ok(Exec::start(
        Permission::acquire(ServerLocation::Namespace)?,
        config,
    )?)
}

async fn transfer_all(
    plan: &Plan,
    exec: &Exec,
    congestion: TcpCongestion,
) -> Result<Vec<crate::record::Timing>, RunError> {
    let scenario = &plan.scenario;
    let content = plan.content();
    let flows = scenario.flows();
    let runtime = TokioRuntime::new();
    let server = SocketAddr::new(exec.server_ip().into(), PORT);
    let listener = exec
        .on_server(move || listen(server, congestion))
        .map_err(system("listen in a network namespace"))?;
    let files: Arc<[Bytes]> = (0..flows.len()).map(|index| content.file(index)).collect();
    let serving = tokio::spawn(serve(listener, files));
    let mut transfers = Vec::new();
    for (index, flow) in flows.iter().enumerate() {
        let socket = exec
            .on_client(move || socket(congestion))
            .map_err(system("make a socket with this congestion control"))?;
        let request = request(plan, &content, index);
        let span = Span::of(scenario, flow.start.0, request.contents.len());
        let transfer = async move { transfer(socket, server, &request).await.map_err(describe) };
        transfers.push(tokio::spawn(timed(runtime.clone(), span, transfer)));
    }
    let mut timings = Vec::new();
    for transfer in transfers {
        let timing = transfer.await.map_err(io::Error::other);
        timings.push(timing.map_err(system("finish a transfer"))?);
    }
    serving.abort();
    Ok(timings)
}

fn listen(at: SocketAddr, congestion: TcpCongestion) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(at)?;
    // Accepted sockets inherit it.
    choose(&listener, congestion)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn socket(congestion: TcpCongestion) -> io::Result<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    choose(&socket, congestion)?;
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(true)?;
    Ok(stream)
}

fn choose(socket: &impl std::os::fd::AsFd, congestion: TcpCongestion) -> io::Result<()> {
    let name = congestion.name();
    set_tcp_congestion(socket, name).map_err(|error| {
        let path = "/proc/sys/net/ipv4/tcp_available_congestion_control";
        let known = fs::read_to_string(path).unwrap_or_default();
        let known = known.trim();
        io::Error::other(format!(
            "{name}: {error}; this kernel has {known} (modprobe tcp_{name} may bring it)"
        ))
    })
}

/// For the calling thread's network namespace.
fn grow_buffers(bytes: u64) -> io::Result<()> {
    for name in ["tcp_rmem", "tcp_wmem"] {
        let path = format!("/proc/sys/net/ipv4/{name}");
        let limits = fs::read_to_string(&path)?;
        let mut limits: Vec<u64> = limits
            .split_ascii_whitespace()
            .filter_map(|limit| limit.parse().ok())
            .collect();
        if let Some(most) = limits.last_mut() {
            *most = bytes.max(*most).min(i32::MAX.unsigned_abs().into());
        }
        let limits: Vec<String> = limits.iter().map(u64::to_string).collect();
        fs::write(&path, limits.join(" "))?;
    }
    Ok(())
}

async fn serve(listener: TcpListener, files: Arc<[Bytes]>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    while let Ok((stream, _)) = listener.accept().await {
        let files = Arc::clone(&files);
        tokio::spawn(async move {
            if let Err(error) = protocol::server(&mut Tcp(stream), &files).await {
                tracing::debug!(%error, "a transfer ended");
            }
        });
    }
}

async fn transfer(socket: TcpStream, server: SocketAddr, request: &Request) -> io::Result<bool> {
    let socket = tokio::net::TcpSocket::from_std_stream(socket);
    let stream = socket.connect(server).await?;
    protocol::client(&mut Tcp(stream), request)
        .await
        .map_err(io::Error::other)
}

struct Tcp(tokio::net::TcpStream);

impl ByteStream for Tcp {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.0.write_all(bytes).await.map_err(describe)
    }

    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        self.0.read(buffer).await.map_err(describe)
    }
}

fn system(doing: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::System { doing, source }
}

fn describe(error: io::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use lftp_netem::exec::ExecError;

    use super::*;
    use crate::record::Detail;
    use crate::run::{Clock, Tap};
    use crate::scenario;

    /// Transfers a megabyte; none if the system allows no namespace or no TUN device, or has no such
    /// congestion control.
    fn transferred(congestion: TcpCongestion, changes: &[&str]) -> Option<RunRecord> {
        let mut changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
        changes.push("transfer.size=1MiB".to_owned());
        let plan = Plan {
            scenario: scenario::load("clean-100m", &changes).expect("a scenario"),
            seed: 1,
            clock: Clock::Real,
            detail: Detail::Summary,
            file: None,
            tap: Tap::default(),
        };
        match run(&plan, congestion) {
            Ok(record) => Some(record),
            Err(RunError::System { source, .. }) if source.to_string().contains("modprobe") => {
                eprintln!("skipped: {source}");
                None
            }
            Err(RunError::Exec(ExecError::System { doing, source })) => {
                panic!("{doing}: {source}")
            }
            Err(RunError::Exec(error)) => {
                eprintln!("skipped: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn the_kernels_tcp_transfers_a_file_in_both_directions() {
        for way in ["transfer.way=put", "transfer.way=get"] {
            let Some(record) = transferred(TcpCongestion::Cubic, &[way]) else {
                return;
            };
            let summary = record.summary;
            assert!(summary.intact, "{way}: {:?}", summary.failure);
            assert_eq!((&*summary.clock, &*summary.congestion), ("real", "cubic"));
            // A round trip for the handshake and at least one for the file.
            assert!(summary.duration_ns > 80_000_000, "{}", summary.duration_ns);
            // No packet is larger than the MTU: the kernel has split them.
            assert!(summary.packets_sent > (1 << 20) / 1500);
            assert!(summary.wire_bytes > 1 << 20);
        }
    }

    #[test]
    fn an_unfinished_transfer_is_a_result() {
        let hopeless = ["network.loss=100%", "limits.time=1s"];
        let Some(record) = transferred(TcpCongestion::Reno, &hopeless) else {
            return;
        };
        assert!(!record.summary.intact);
        let failure = record.summary.failure.as_deref();
        assert_eq!(failure, Some("not finished within 1 s"));
    }
}
