//! Precision and speed of the proxy on this machine.
//!
//! ```text
//! cargo run --release -p lftp-netem --example proxy_load -- [SECONDS [NAME]]
//! ```
//!
//! One row for each load whose name contains NAME: packets forwarded, lateness, and the processor
//! time of the proxy's thread. Sender and receiver share the machine with the proxy, as client and
//! server do in a real run. So the rate of a flood is that of all three together; the rate of the
//! proxy alone is in the column after it: bits forwarded per second of its own processor time.

#![expect(
    clippy::disallowed_methods,
    reason = "a load generator runs in real time"
)]

use std::{
    error::Error,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use lftp_netem::{
    profile::NetworkProfile,
    proxy::{Proxy, ProxyConfig, ProxyReport},
};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};

const PAYLOAD_BYTES: usize = 1200;

struct Load {
    name: &'static str,
    network: &'static str,
    packets_per_s: u64,
    /// Packets handed to the system at once, joined.
    burst: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    let wanted = std::env::args().nth(2).unwrap_or_default();
    let paced = |name, network, packets_per_s| Load {
        name,
        network,
        packets_per_s,
        burst: 1,
    };
    let loads = [
        paced("1k pps, 20 ms", "delay = \"20ms\"", 1_000),
        paced("10k pps, 20 ms", "delay = \"20ms\"", 10_000),
        paced(
            "10k pps, 100 mbit, 20 ms",
            "delay = \"20ms\"\nrate = \"100mbit\"",
            10_000,
        ),
        paced("40k pps, 20 ms", "delay = \"20ms\"", 40_000),
        paced("1.5 Gbit/s, one by one", "delay = \"1ms\"", 156_250),
        Load {
            name: "3 Gbit/s, 32 at once",
            network: "delay = \"1ms\"",
            packets_per_s: 312_500,
            burst: 32,
        },
        Load {
            name: "flood, one by one",
            network: "delay = \"1ms\"",
            packets_per_s: u64::MAX,
            burst: 1,
        },
        Load {
            name: "flood, 32 at once",
            network: "delay = \"1ms\"",
            packets_per_s: u64::MAX,
            burst: 32,
        },
    ];
    println!(
        "{:26} {:>8} {:>8}  {:>7} {:>9} {:>11}  {:>5} {:>5} {:>6}  {:>5}  {:>6}  valid",
        "1,200-byte datagrams",
        "sent",
        "received",
        "Gbit/s",
        "core load",
        "Gbit/core s",
        "p50",
        "p99",
        "max us",
        "shift",
        "drops"
    );
    for load in loads.iter().filter(|load| load.name.contains(&wanted)) {
        run(load, Duration::from_secs(seconds))?;
    }
    Ok(())
}

fn run(load: &Load, duration: Duration) -> Result<(), Box<dyn Error>> {
    let sink = UdpSocket::bind("127.0.0.1:0")?;
    sink.set_read_timeout(Some(Duration::from_millis(50)))?;
    socket2::SockRef::from(&sink).set_recv_buffer_size(8 << 20)?;
    let mut config = ProxyConfig::new(&NetworkProfile::from_toml_str(load.network)?, 1);
    config.listen = vec![("127.0.0.1:0".parse()?, sink.local_addr()?)];
    let proxy = Proxy::start(config)?;
    let target = proxy.listen_addrs()[0];

    let done = Arc::new(AtomicBool::new(false));
    let receiver = {
        let done = Arc::clone(&done);
        thread::spawn(move || receive(&sink, &done))
    };
    let sent = send(load, target, duration)?;
    thread::sleep(Duration::from_millis(200));
    let report = proxy.stop();
    done.store(true, Ordering::Relaxed);
    let received = receiver.join().expect("the receiver does not panic");
    print(load, &report, sent, received, duration);
    Ok(())
}

fn send(load: &Load, target: std::net::SocketAddr, duration: Duration) -> std::io::Result<u64> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let state = UdpSocketState::new((&socket).into())?;
    let contents = vec![0x5a; PAYLOAD_BYTES * load.burst];
    let transmit = Transmit {
        destination: target,
        ecn: None,
        contents: &contents,
        segment_size: (load.burst > 1).then_some(PAYLOAD_BYTES),
        src_ip: None,
    };
    let start = Instant::now();
    let mut sent = 0u64;
    loop {
        let elapsed = start.elapsed();
        if elapsed >= duration {
            return Ok(sent);
        }
        let due = elapsed.as_nanos() * u128::from(load.packets_per_s) / 1_000_000_000;
        if u128::from(sent) >= due {
            thread::sleep(Duration::from_micros(50));
        } else if state.try_send((&socket).into(), &transmit).is_ok() {
            sent += load.burst as u64;
        }
    }
}

fn receive(socket: &UdpSocket, done: &AtomicBool) -> u64 {
    let Ok(state) = UdpSocketState::new(socket.into()) else {
        return 0;
    };
    let mut bytes = vec![0; 65_536 * 16];
    let mut meta = [RecvMeta::default(); 16];
    let mut received = 0;
    while !done.load(Ordering::Relaxed) {
        let mut slices = bytes.chunks_mut(65_536).map(std::io::IoSliceMut::new);
        let mut slices: [_; 16] = std::array::from_fn(|_| slices.next().expect("16 chunks"));
        match state.recv(socket.into(), &mut slices, &mut meta) {
            Ok(count) => {
                let datagrams = |meta: &RecvMeta| meta.len.div_ceil(meta.stride.max(1)) as u64;
                received += meta[..count].iter().map(datagrams).sum::<u64>();
            }
            Err(_) => thread::sleep(Duration::from_micros(200)),
        }
    }
    received
}

fn print(load: &Load, report: &ProxyReport, sent: u64, received: u64, duration: Duration) {
    let micros = |ns: u64| ns / 1000;
    let late = report.lateness;
    let gbit = (report.proxy.sent * PAYLOAD_BYTES as u64 * 8) as f64 / 1e9;
    let processor_s = report.processor_ns.map_or(f64::NAN, |ns| ns as f64 / 1e9);
    println!(
        "{:26} {sent:8} {received:8}  {:7.3} {:8.0}% {:11.2}  {:5} {:5} {:6}  {:5}  {:6}  {}",
        load.name,
        gbit / duration.as_secs_f64(),
        processor_s / (report.duration_ns as f64 / 1e9) * 100.0,
        gbit / processor_s,
        micros(late.p50_ns),
        micros(late.p99_ns),
        micros(late.max_ns),
        micros(report.entry_shift.p99_ns),
        report.proxy.own_drops(),
        report.valid,
    );
}
