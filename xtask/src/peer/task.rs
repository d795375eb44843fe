//! The parts that all peers share: the tasks of server and clients, and how a transfer is
//! timed and recorded.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lftp_netem::world::Host;
use lftp_transport::{Runtime, sleep, timeout};

use super::command;
use super::name::Foreign;
use super::protocol::Request;
use crate::record::{LinkLog, Outcome, Timing, Validity, assemble};
use crate::rows::RunRecord;
use crate::run::{Clock, Content, Plan};
use crate::scenario::Scenario;

/// The port of every peer's server, and the first of several.
pub(super) const PORT: u16 = 4433;

/// The task of a server.
pub(super) struct ServerTask {
    pub(super) host: Host,
    pub(super) scenario: Scenario,
    /// The files that clients may get, by index.
    pub(super) files: Vec<Bytes>,
}

/// The task of one client.
pub(super) struct ClientTask {
    pub(super) host: Host,
    pub(super) server: SocketAddr,
    pub(super) scenario: Scenario,
    pub(super) request: Request,
}

/// Derives the record of a peer's run.
pub(super) fn record(
    plan: &Plan,
    peer: Foreign,
    timings: Vec<Timing>,
    link: LinkLog,
    validity: Validity,
) -> RunRecord {
    let packets_sent = link.forward_packets;
    let outcome = Outcome {
        clock: match plan.clock {
            Clock::Real => "real",
            Clock::Virtual => "virtual",
        },
        seed: plan.seed,
        flows: Vec::new(),
        timings,
        link,
        validity,
        command: command(plan, peer),
    };
    let mut record = assemble(&plan.scenario, plan.detail, outcome);
    // Only LFTP reports on its senders; of other transports the clock and the link have to.
    record.summary.packets_sent = packets_sent;
    record.summary.congestion = peer.congestion().to_owned();
    record.summary.recovery = peer.family().to_owned();
    record
}

/// The request of one transfer's client.
pub(super) fn request(plan: &Plan, content: &Content, index: usize) -> Request {
    Request {
        operation: plan.scenario.transfer.operation,
        index,
        contents: content.file(index),
    }
}

/// The start, time limit and size of a transfer.
pub(super) struct Span {
    start: Duration,
    limit: Duration,
    bytes: u64,
}

impl Span {
    pub(super) fn of(scenario: &Scenario, start_ns: u64, bytes: usize) -> Self {
        Self {
            start: Duration::from_nanos(start_ns),
            limit: Duration::from_nanos(scenario.limits.time.0),
            bytes: bytes as u64,
        }
    }
}

/// Runs a transfer and takes its times.
pub(super) async fn timed(
    runtime: Arc<dyn Runtime>,
    span: Span,
    transfer: impl Future<Output = Result<bool, String>> + Send,
) -> Timing {
    sleep(&*runtime, span.start).await;
    let started = runtime.now();
    let (intact, failure) = match timeout(&*runtime, span.limit, transfer).await {
        Ok(Ok(intact)) => (intact, None),
        Ok(Err(failure)) => (false, Some(failure)),
        Err(_) => {
            let failure = format!("not finished within {} s", span.limit.as_secs_f64());
            (false, Some(failure))
        }
    };
    Timing {
        started_ns: started.as_nanos(),
        ended_ns: runtime.now().as_nanos(),
        bytes: span.bytes,
        failure,
        intact,
    }
}

/// The tuned window of a QUIC: twice the four bandwidth-delay products that it wants, for at 10 %
/// loss a stream that waits for the last retransmissions has six in flight.
pub(super) fn quic_window_bytes(scenario: &Scenario) -> u64 {
    window_bytes(scenario, 8, 8 << 20)
}

/// A window of `products` bandwidth-delay products of the scenario, at least `least`, bytes.
pub(super) fn window_bytes(scenario: &Scenario, products: u64, least: u64) -> u64 {
    let network = &scenario.network;
    let rate_bps = u128::from(network.forward().rate_bps().unwrap_or(0));
    let product = rate_bps * u128::from(network.round_trip_ns()) / 8_000_000_000;
    u64::try_from(product * u128::from(products))
        .unwrap_or(u64::MAX)
        .max(least)
}

/// Formats an error with its causes: "connection lost: timed out".
pub(super) fn describe(error: impl Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
