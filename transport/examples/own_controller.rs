//! A congestion controller of one's own: a constant rate, whatever the network says.
//!
//! ```text
//! cargo run --release -p lftp-transport --example own_controller [MBIT]
//! ```
//!
//! Both window and pacing rate are the controller's. Sends 16 MiB over the loopback interface at so
//! many Mbit/s (100 by default) and prints the rate that came of it. Not for a shared network: it
//! answers neither losses nor marks.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lftp_transport::congestion::{AckInfo, Controller, ControllerFactory, LossInfo, Params};
use lftp_transport::{Config, Listener, Stream, Time, TokioRuntime};

const TRANSFER_BYTES: usize = 16 << 20;

/// Creates a [`ConstantRate`] for each connection.
#[derive(Debug)]
struct ConstantRateFactory {
    bytes_per_second: u64,
}

impl ControllerFactory for ConstantRateFactory {
    fn build(&self, params: &Params) -> Box<dyn Controller> {
        Box::new(ConstantRate {
            bytes_per_second: self.bytes_per_second,
            window: params.initial_window_packets * params.mss_bytes,
            mss: params.mss_bytes,
        })
    }
}

/// Sends at one rate, with as much in flight as that takes.
#[derive(Debug)]
struct ConstantRate {
    bytes_per_second: u64,
    window: u64,
    mss: u64,
}

impl Controller for ConstantRate {
    fn window_bytes(&self) -> u64 {
        self.window
    }

    fn pacing_rate_bytes_per_second(&self, _smoothed_rtt: Option<Duration>) -> Option<u64> {
        Some(self.bytes_per_second)
    }

    fn on_acked(&mut self, ack: &AckInfo<'_>) {
        // Twice what the rate has in flight in a round trip, and 25 ms more: the receiver may hold
        // an acknowledgement back for so long, and losses are not noticed at once.
        let time = 2 * ack.smoothed_rtt + Duration::from_millis(25);
        let bytes = u128::from(self.bytes_per_second) * time.as_nanos() / 1_000_000_000;
        self.window = u64::try_from(bytes).unwrap_or(u64::MAX).max(4 * self.mss);
    }

    fn on_lost(&mut self, _loss: &LossInfo) {}

    fn on_ce(&mut self, _now: Time, _sent_at: Time) {}

    fn on_persistent_congestion(&mut self, _now: Time) {}

    fn on_mtu(&mut self, mss_bytes: u64) {
        self.mss = mss_bytes;
    }

    fn phase(&self) -> &'static str {
        "constant"
    }

    fn trace_fields(&self, report: &mut dyn FnMut(&'static str, u64)) {
        report("constant_rate_bps", 8 * self.bytes_per_second);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mbit: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(100), |text| text.parse())?;
    let sender = Config {
        controller_factory: Some(Arc::new(ConstantRateFactory {
            bytes_per_second: mbit * 1_000_000 / 8,
        })),
        ..Config::default()
    };
    let runtime = TokioRuntime::new();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Listener::bind(runtime.clone(), any, Config::default())?;
    let server = listener.local_addr();
    let receive = async {
        let mut stream = listener.accept().await?;
        let mut received = 0;
        while let Some(bytes) = stream.read_chunk(usize::MAX).await? {
            received += bytes.len();
        }
        stream.finish().await?;
        Ok::<_, Box<dyn Error>>(received)
    };
    let send = async {
        let mut stream = Stream::connect(runtime, server, sender).await?;
        stream.write_all(&vec![7; TRANSFER_BYTES]).await?;
        stream.finish().await?;
        stream.read_chunk(1).await?;
        Ok::<_, Box<dyn Error>>(stream.stats())
    };
    #[expect(clippy::disallowed_methods, reason = "measures real time")]
    let start = Instant::now();
    let (received, stats) = tokio::try_join!(receive, send)?;
    let rate = 8.0 * received as f64 / start.elapsed().as_secs_f64() / 1e6;
    println!(
        "{received} bytes at {rate:.1} Mbit/s, window {} bytes, {} packets",
        stats.congestion_window_bytes, stats.packets_sent
    );
    Ok(())
}
