//! Throughput of one bulk stream over the loopback interface, and its CPU cost.
//!
//! ```text
//! cargo run --release -p lftp-transport --example loopback_speed [MiB] [CONGESTION]
//! ```
//!
//! CONGESTION is a name that `Congestion` parses, `fathom` by default. Sender and receiver have a
//! thread and a runtime each. Prints Gbit/s of stream bytes and the CPU seconds that both together
//! used for a gigabyte.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lftp_transport::{Config, Listener, Stream, TokioRuntime};

const CHUNK_BYTES: usize = 1 << 20;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let mib: usize = args.next().map_or(Ok(1024), |text| text.parse())?;
    let mut config = Config::default();
    if let Some(name) = args.next() {
        config.congestion = name.parse()?;
    }
    let (address, addresses) = mpsc::channel();
    let receiving = config.clone();
    let receiver = thread::spawn(move || single().block_on(receive(receiving, address)));
    let addr = addresses.recv()?;
    let cpu_before = cpu_time()?;
    #[expect(clippy::disallowed_methods, reason = "measures real time")]
    let begin = Instant::now();
    let sender = thread::spawn(move || single().block_on(send(config, addr, mib)));
    sender.join().map_err(|_| "the sender panicked")??;
    let received = receiver.join().map_err(|_| "the receiver panicked")??;
    let seconds = begin.elapsed().as_secs_f64();
    let gigabytes = received as f64 / 1e9;
    let cpu = (cpu_time()? - cpu_before).as_secs_f64();
    println!(
        "{mib} MiB in {seconds:.2} s: {:.2} Gbit/s, {:.2} CPU-s/GB",
        8.0 * gigabytes / seconds,
        cpu / gigabytes
    );
    Ok(())
}

fn single() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime is available")
}

async fn receive(config: Config, address: mpsc::Sender<SocketAddr>) -> Result<u64, Failure> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Listener::bind(TokioRuntime::new(), any, config)?;
    address.send(listener.local_addr())?;
    let mut stream = listener.accept().await?;
    let mut received = 0;
    while let Some(bytes) = stream.read_chunk(usize::MAX).await? {
        received += bytes.len() as u64;
    }
    stream.finish().await?;
    Ok(received)
}

async fn send(config: Config, addr: SocketAddr, mib: usize) -> Result<(), Failure> {
    let mut stream = Stream::connect(TokioRuntime::new(), addr, config).await?;
    let chunk = Bytes::from(vec![7; CHUNK_BYTES]);
    for _ in 0..mib {
        stream.write_bytes(chunk.clone()).await?;
    }
    stream.finish().await?;
    let rest = stream.read_chunk(1).await?;
    let stats = stream.stats();
    println!(
        "{} packets, {} retransmitted, round trip {:?}",
        stats.packets_sent, stats.packets_retransmitted, stats.smoothed_rtt
    );
    rest.map_or(Ok(()), |_| Err("the receiver sent something".into()))
}

/// User and system time of this process so far, threads included.
fn cpu_time() -> Result<Duration, Failure> {
    // Fields 14 and 15 in hundredths of a second; the name before them may hold spaces.
    let stat = std::fs::read_to_string("/proc/self/stat")
        .map_err(|error| format!("CPU time is read from /proc, as on Linux: {error}"))?;
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks: Result<Vec<u64>, _> = fields.skip(11).take(2).map(str::parse).collect();
    Ok(Duration::from_millis(10 * ticks?.iter().sum::<u64>()))
}
