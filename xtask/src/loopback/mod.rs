//! Bulk data over real sockets on the loopback interface: what a transport costs where no
//! network is in its way.
//!
//! Both ends are in this process, each with threads of its own, so that the process's time is
//! what both together used.

mod lftp;
mod limit;
mod quinn;
mod s2n;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Handed to a stream at once.
const CHUNK_BYTES: usize = 1 << 20;

/// How a QUIC is tuned: more window than a round trip of the loopback interface ever needs,
const WINDOW_BYTES: u32 = 16 << 20;
/// as much of the system's memory as a burst may take,
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// and packets that fill a frame of 1,500 bytes.
const PACKET_BYTES: u16 = 1472;

/// Who carries the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Carrier {
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

impl Carrier {
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

    /// Carries `bytes` in each of `flows` streams at once.
    ///
    /// # Errors
    /// In words, why they did not arrive.
    pub(crate) fn carry(self, bytes: u64, flows: usize) -> Result<Lap, String> {
        match self {
            Self::Lftp => lap(bytes, flows, lftp::receive, lftp::send),
            Self::Quinn => lap(bytes, flows, quinn::receive::<true>, quinn::send::<true>),
            Self::QuinnDefault => lap(bytes, flows, quinn::receive::<false>, quinn::send::<false>),
            Self::S2n => lap(bytes, flows, s2n::receive, s2n::send),
            Self::Limit => lap(bytes, flows, limit::receive, limit::send),
        }
    }
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lap {
    bytes: f64,
    took: Duration,
    /// Of the processors, user and system.
    cpu: Duration,
}

impl Lap {
    pub(crate) fn gbit_per_second(&self) -> f64 {
        8.0 * self.bytes / 1e9 / self.took.as_secs_f64()
    }

    pub(crate) fn cpu_seconds_per_gb(&self) -> f64 {
        self.cpu.as_secs_f64() / (self.bytes / 1e9)
    }
}

/// Says where it receives, then how many bytes came.
type Receive = fn(mpsc::Sender<SocketAddr>) -> Result<u64, String>;
type Send = fn(SocketAddr, u64) -> Result<(), String>;

/// Each flow has two sockets and two threads.
#[expect(clippy::disallowed_methods, reason = "measures real time")]
fn lap(bytes: u64, flows: usize, receive: Receive, send: Send) -> Result<Lap, String> {
    let mut receivers = Vec::new();
    for _ in 0..flows {
        let (told, heard) = mpsc::channel();
        let receiver = thread::spawn(move || receive(told));
        match heard.recv() {
            Ok(addr) => receivers.push((addr, receiver)),
            Err(_) => return Err(joined(receiver).err().unwrap_or_default()),
        }
    }
    let cpu = processor_time();
    let begun = std::time::Instant::now();
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
    let (took, cpu) = (begun.elapsed(), processor_time() - cpu);
    if received != bytes * flows as u64 {
        return Err(format!("{received} of {bytes} bytes arrived"));
    }
    let bytes = received as f64;
    Ok(Lap { bytes, took, cpu })
}

fn joined<T>(thread: thread::JoinHandle<Result<T, String>>) -> Result<T, String> {
    thread
        .join()
        .unwrap_or_else(|_| Err("a thread panicked".to_owned()))
}

/// A port that the system chooses.
fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Runs one end on the thread that it is called on.
fn single<T>(end: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build();
    runtime.map_err(words)?.block_on(end)
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What this process has had of the processors.
#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Elsewhere it is not known.
#[cfg(not(unix))]
fn processor_time() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_carrier_carries_every_byte() {
        let all = [
            Carrier::Lftp,
            Carrier::Quinn,
            Carrier::QuinnDefault,
            Carrier::S2n,
            Carrier::Limit,
        ];
        for carrier in all {
            for flows in [1, 2] {
                let lap = carrier.carry(1_000_001, flows).unwrap();
                assert!(lap.gbit_per_second() > 0.0, "{carrier:?}");
            }
        }
    }
}
