//! A controller that the user of the crate brings along: window, pacing and traces are its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lftp_transport::congestion::{AckInfo, Controller, ControllerFactory, LossInfo, Params};
use lftp_transport::{Config, FlowId, Listener, Observer, Stream, Time, TokioRuntime, TraceEvent};

const WINDOW: u64 = 20_000;

/// Far above a packet a round trip of the loopback interface, which is the least the connection
/// paces at.
const RATE: u64 = 1_000_000_000;

#[derive(Debug)]
struct Fixed;

impl ControllerFactory for Fixed {
    fn build(&self, _params: &Params) -> Box<dyn Controller> {
        Box::new(Self)
    }
}

impl Controller for Fixed {
    fn window_bytes(&self) -> u64 {
        WINDOW
    }

    fn on_acked(&mut self, _ack: &AckInfo<'_>) {}

    fn on_lost(&mut self, _loss: &LossInfo) {}

    fn on_ce(&mut self, _now: Time, _sent_at: Time) {}

    fn on_persistent_congestion(&mut self, _now: Time) {}

    fn pacing_rate_bytes_per_second(&self, _smoothed_rtt: Option<Duration>) -> Option<u64> {
        Some(RATE)
    }

    fn trace_fields(&self, report: &mut dyn FnMut(&'static str, u64)) {
        report("answer_packets", 42);
    }
}

#[derive(Debug, Default)]
struct Log(Mutex<Vec<TraceEvent>>);

impl Observer for Log {
    fn observe(&self, _now: Time, _flow: FlowId, event: &TraceEvent) {
        self.0.lock().expect("no panic before").push(*event);
    }
}

#[tokio::test]
async fn a_controller_of_the_users_own_decides_window_and_pacing() {
    let runtime = TokioRuntime::new();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Listener::bind(runtime.clone(), any, Config::default()).unwrap();
    let server = listener.local_addr();
    let log = Arc::new(Log::default());
    let config = Config {
        controller_factory: Some(Arc::new(Fixed)),
        observer: Some(log.clone()),
        ..Config::default()
    };
    let receive = async {
        let mut stream = listener.accept().await.unwrap();
        while stream.read_chunk(usize::MAX).await.unwrap().is_some() {}
        stream.finish().await.unwrap();
    };
    let send = async {
        let mut stream = Stream::connect(runtime, server, config).await.unwrap();
        stream.write_all(&vec![7; 200_000]).await.unwrap();
        stream.finish().await.unwrap();
        stream.read_chunk(1).await.unwrap();
        stream.stats().congestion_window_bytes
    };
    let ((), window) = tokio::join!(receive, send);
    assert_eq!(window, WINDOW);
    let events = log.0.lock().unwrap();
    let mut metrics = 0;
    for event in events.iter() {
        match *event {
            TraceEvent::MetricsUpdated(update) => {
                metrics += 1;
                // Probe timeouts may exceed the window by a few packets (RFC 9002 §7).
                assert!(update.bytes_in_flight <= 2 * WINDOW, "{update:?}");
                assert_eq!(update.pacing_rate_bps, Some(8 * RATE));
                assert_eq!(update.phase, "congestion-avoidance");
            }
            TraceEvent::ControllerField { name, value } => {
                assert_eq!((name, value), ("answer_packets", 42));
                metrics -= 1;
            }
            _ => {}
        }
    }
    assert_eq!(metrics, 0, "one field with each update");
    assert!(events.contains(&TraceEvent::Established));
}
