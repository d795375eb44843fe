//! Bulk data over real sockets on the loopback interface: the cost of a transport without a
//! network in between.
//!
//! Both ends are in this process, each with threads of its own, so the process's time is that of
//! both together.
//!
//! | module | contents |
//! |---|---|
//! | `lftp`, `quinn`, `s2n` | one stream of one connection; all but the first behind the feature `peers` |
//! | `limit` | system calls and cipher without a transport |

mod lftp;
mod limit;
#[cfg(feature = "peers")]
mod quinn;
#[cfg(feature = "peers")]
mod s2n;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Bytes handed to a stream at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Window of a tuned QUIC: more than a round trip of the loopback interface ever needs.
#[cfg(feature = "peers")]
const WINDOW_BYTES: u32 = 16 << 20;
/// Socket buffer of a tuned QUIC: as much as a burst takes.
#[cfg(feature = "peers")]
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// Packet size of a tuned QUIC: fills a frame of 1,500 bytes behind IPv4 and UDP.
#[cfg(feature = "peers")]
const PACKET_BYTES: u16 = 1472;

/// A transport that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Transport {
    /// This workspace's transport with its defaults.
    Lftp,
    /// quinn with large windows, AES-128, full-sized packets from the first on, large socket
    /// buffers, and an acknowledgement for every tenth packet.
    Quinn,
    /// quinn as it comes.
    QuinnDefault,
    /// s2n-quic with large windows, full-sized packets from the first on and large socket buffers.
    #[value(name = "s2n")]
    S2n,
    /// No transport: batches sealed, sent, received, opened, with a count sent back.
    Limit,
}

impl Transport {
    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lftp => "lftp",
            Self::Quinn => "quinn",
            Self::QuinnDefault => "quinn-default",
            Self::S2n => "s2n",
            Self::Limit => "limit",
        }
    }

    /// True if only a build with the feature `peers` has it.
    pub(crate) const fn needs_peers(self) -> bool {
        matches!(self, Self::Quinn | Self::QuinnDefault | Self::S2n)
    }

    /// Transfers `bytes` in each of `flows` streams at once.
    ///
    /// # Errors
    /// A message that says why they did not arrive.
    pub(crate) fn measure(self, bytes: u64, flows: usize) -> Result<Measurement, String> {
        match self {
            Self::Lftp => measure(bytes, flows, lftp::receive, lftp::send),
            #[cfg(feature = "peers")]
            Self::Quinn => measure(bytes, flows, quinn::receive::<true>, quinn::send::<true>),
            #[cfg(feature = "peers")]
            Self::QuinnDefault => {
                measure(bytes, flows, quinn::receive::<false>, quinn::send::<false>)
            }
            #[cfg(feature = "peers")]
            Self::S2n => measure(bytes, flows, s2n::receive, s2n::send),
            Self::Limit => measure(bytes, flows, limit::receive, limit::send),
            #[cfg(not(feature = "peers"))]
            _ => Err("not part of this build; build with --features peers".to_owned()),
        }
    }
}

/// The measurement of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measurement {
    bytes: f64,
    took: Duration,
    /// Processor time, user and system.
    cpu: Duration,
}

impl Measurement {
    pub(crate) fn gbit_per_second(&self) -> f64 {
        8.0 * self.bytes / 1e9 / self.took.as_secs_f64()
    }

    pub(crate) fn cpu_seconds_per_gb(&self) -> f64 {
        self.cpu.as_secs_f64() / (self.bytes / 1e9)
    }
}

/// Sends the address on which it receives; returns the number of bytes received.
type Receive = fn(mpsc::Sender<SocketAddr>) -> Result<u64, String>;
type Send = fn(SocketAddr, u64) -> Result<(), String>;

/// Each flow has two sockets and two threads.
#[expect(clippy::disallowed_methods, reason = "measures real time")]
fn measure(bytes: u64, flows: usize, receive: Receive, send: Send) -> Result<Measurement, String> {
    let mut receivers = Vec::new();
    for _ in 0..flows {
        let (address, bound) = mpsc::channel();
        let receiver = thread::spawn(move || receive(address));
        match bound.recv() {
            Ok(addr) => receivers.push((addr, receiver)),
            Err(_) => return Err(joined(receiver).err().unwrap_or_default()),
        }
    }
    let cpu = processor_time();
    let started = std::time::Instant::now();
    let (mut senders, mut waiting) = (Vec::new(), Vec::new());
    for (addr, receiver) in receivers {
        senders.push(thread::spawn(move || send(addr, bytes)));
        waiting.push(receiver);
    }
    for sender in senders {
        joined(sender)?;
    }
    let mut received = 0;
    for receiver in waiting {
        received += joined(receiver)?;
    }
    let (took, cpu) = (started.elapsed(), processor_time() - cpu);
    if received != bytes * flows as u64 {
        return Err(format!("{received} of {bytes} bytes arrived"));
    }
    let bytes = received as f64;
    Ok(Measurement { bytes, took, cpu })
}

fn joined<T>(thread: thread::JoinHandle<Result<T, String>>) -> Result<T, String> {
    thread
        .join()
        .unwrap_or_else(|_| Err("a thread panicked".to_owned()))
}

/// A port chosen by the system.
fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Runs one end on the calling thread.
fn single<T>(end: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build();
    runtime.map_err(describe)?.block_on(end)
}

fn describe(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Processor time that this process has used so far.
#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Not known on other systems.
#[cfg(not(unix))]
fn processor_time() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transport_delivers_every_byte() {
        let all = [
            Transport::Lftp,
            Transport::Quinn,
            Transport::QuinnDefault,
            Transport::S2n,
            Transport::Limit,
        ];
        for transport in all {
            if transport.needs_peers() && !cfg!(feature = "peers") {
                continue;
            }
            for flows in [1, 2] {
                let measurement = transport.measure(1_000_001, flows).unwrap();
                assert!(measurement.gbit_per_second() > 0.0, "{transport:?}");
            }
        }
    }
}
