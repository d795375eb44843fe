//! Other people's transports in LFTP's place: the same network, the same losses, the same bytes.
//!
//! | module | what |
//! |---|---|
//! | [`name`] | what the peers are called on the command line |
//! | [`letter`] | a file on a byte stream: sent, checked by the receiver, confirmed |
//! | [`certificate`] | who the server is, where a peer speaks TLS |
//! | [`quinn`] | quinn, its runtime on a virtual host |
//! | [`s2n`] | s2n-quic, its I/O provider on a virtual host |
//! | [`kcp`] | KCP's state machine and the loop around it |
//! | [`tcp`] | the kernel's TCP, in real time, between two network namespaces |
//!
//! A peer's client begins when LFTP's would, and its transfer is over when LFTP's is: at the
//! receiver's confirmation, handshake included. What it cannot finish within the scenario's
//! limit is a result, not an error.
//!
//! In virtual time a seed gives the same packets again: endpoints draw from the virtual host's generator. What
//! they draw from the operating system all the same (TLS keys, connection ids, where BBR's gain
//! cycle begins) decides neither a packet's size nor its time.

pub(crate) mod certificate;
mod kcp;
mod letter;
mod name;
pub(crate) mod quinn;
pub(crate) mod s2n;
#[cfg(target_os = "linux")]
mod tcp;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lftp_netem::world::Host;
use lftp_transport::{BoxFuture, Runtime, VirtualRuntime, sleep, timeout};

use self::letter::Order;
pub(crate) use self::name::{Foreign, Peer};
use crate::record::{LinkLog, Outcome, Timing, Verdict, assemble};
use crate::rows::RunRecord;
use crate::run::{Clock, Content, Plan, RunError, SERVER, VirtualWorld, verdict};
use crate::scenario::Scenario;

/// The port of every peer's server, and the first of several.
const PORT: u16 = 4433;

/// What a server has to know of the run.
struct Service {
    host: Host,
    scenario: Scenario,
    /// What each client asks for, if it asks.
    files: Vec<Bytes>,
}

/// What one client has to do.
struct Errand {
    host: Host,
    server: SocketAddr,
    scenario: Scenario,
    order: Order,
}

/// Runs a peer through a plan.
///
/// # Errors
/// [`RunError`] when it could not even begin.
pub(crate) fn run(plan: &Plan, peer: Foreign) -> Result<RunRecord, RunError> {
    let Foreign::Tcp(congestion) = peer else {
        return run_virtual(plan, peer);
    };
    #[cfg(target_os = "linux")]
    return tcp::run(plan, congestion);
    #[cfg(not(target_os = "linux"))]
    Err(RunError::System {
        doing: "put TCP behind the network",
        source: std::io::Error::other(format!(
            "tcp-{} takes Linux, its namespaces and its TUN devices",
            congestion.name()
        )),
    })
}

fn run_virtual(plan: &Plan, peer: Foreign) -> Result<RunRecord, RunError> {
    let scenario = &plan.scenario;
    let flows = scenario.flows();
    let content = plan.content();
    let mut world = VirtualWorld::new(plan);
    serve(
        peer,
        Service {
            host: world.add_server()?,
            scenario: scenario.clone(),
            files: (0..flows.len()).map(|index| content.file(index)).collect(),
        },
    )?;
    let mut jobs = Vec::new();
    for (index, flow) in flows.iter().enumerate() {
        let host = world.add_client(index)?;
        let runtime: Arc<dyn Runtime> = VirtualRuntime::new(host.clone());
        let errand = Errand {
            host,
            server: SocketAddr::new(SERVER, PORT),
            scenario: scenario.clone(),
            order: order(plan, &content, index),
        };
        let span = Span::of(scenario, flow.start.0, errand.order.contents.len());
        let carried = async move { carry(peer, &errand).await };
        let job = timed(Arc::clone(&runtime), span, carried);
        jobs.push((runtime, Box::pin(job) as BoxFuture<Timing>));
    }
    let timings = world.run(jobs)?;
    let (link, _) = world.end(plan);
    Ok(record(plan, peer, timings, link, verdict()))
}

/// Of what was heard of a peer's run.
fn record(
    plan: &Plan,
    peer: Foreign,
    timings: Vec<Timing>,
    link: LinkLog,
    verdict: Verdict,
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
        verdict,
        command: command(plan, peer),
    };
    let mut record = assemble(&plan.scenario, plan.detail, outcome);
    // No transport but LFTP tells what its senders do: the clock and the link have to.
    record.summary.packets_sent = packets_sent;
    record.summary.congestion = peer.congestion().to_owned();
    record.summary.recovery = peer.family().to_owned();
    record
}

/// The command that makes a peer's run again.
pub(crate) fn command(plan: &Plan, peer: Foreign) -> String {
    let (scenario, seed) = (plan.scenario.arguments(), plan.seed);
    let clock = match plan.clock {
        Clock::Real => " --clock real",
        Clock::Virtual => "",
    };
    format!("cargo xtask compare {scenario} --peers {peer} --seeds {seed}{clock}")
}

fn serve(peer: Foreign, service: Service) -> Result<(), RunError> {
    match peer {
        Foreign::Quinn(flavor) => quinn::serve(flavor, service),
        Foreign::S2n(congestion) => s2n::serve(congestion, service),
        Foreign::Kcp => kcp::serve(service),
        Foreign::Tcp(_) => unreachable!("it has no virtual clock"),
    }
}

async fn carry(peer: Foreign, errand: &Errand) -> Result<bool, String> {
    match peer {
        Foreign::Quinn(flavor) => quinn::carry(flavor, errand).await,
        Foreign::S2n(congestion) => s2n::carry(congestion, errand).await,
        Foreign::Kcp => kcp::carry(errand).await,
        Foreign::Tcp(_) => unreachable!("it has no virtual clock"),
    }
}

/// What the client of one transfer has to do.
fn order(plan: &Plan, content: &Content, index: usize) -> Order {
    Order {
        way: plan.scenario.transfer.way,
        index,
        contents: content.file(index),
    }
}

/// When a transfer begins, how long it may take, and how much it is.
struct Span {
    start: Duration,
    limit: Duration,
    bytes: u64,
}

impl Span {
    fn of(scenario: &Scenario, start_ns: u64, bytes: usize) -> Self {
        Self {
            start: Duration::from_nanos(start_ns),
            limit: Duration::from_nanos(scenario.limits.time.0),
            bytes: bytes as u64,
        }
    }
}

/// Carries one file and notes when.
async fn timed(
    runtime: Arc<dyn Runtime>,
    span: Span,
    carried: impl Future<Output = Result<bool, String>> + Send,
) -> Timing {
    sleep(&*runtime, span.start).await;
    let begun = runtime.now();
    let (intact, failure) = match timeout(&*runtime, span.limit, carried).await {
        Ok(Ok(intact)) => (intact, None),
        Ok(Err(failure)) => (false, Some(failure)),
        Err(_) => {
            let failure = format!("not finished within {} s", span.limit.as_secs_f64());
            (false, Some(failure))
        }
    };
    Timing {
        begun_ns: begun.as_nanos(),
        ended_ns: runtime.now().as_nanos(),
        bytes: span.bytes,
        failure,
        intact,
    }
}

/// The tuned window of a QUIC: twice the four bandwidth-delay products that it wants, for at 10 %
/// loss a stream that waits for the last repeats has six under way.
fn quic_window_bytes(scenario: &Scenario) -> u64 {
    window_bytes(scenario, 8, 8 << 20)
}

/// A window of so many bandwidth-delay products of the scenario, bytes; and at least `least`.
fn window_bytes(scenario: &Scenario, products: u64, least: u64) -> u64 {
    let network = &scenario.network;
    let rate_bps = u128::from(network.forward().rate_bps().unwrap_or(0));
    let product = rate_bps * u128::from(network.round_trip_ns()) / 8_000_000_000;
    u64::try_from(product * u128::from(products))
        .unwrap_or(u64::MAX)
        .max(least)
}

/// An error and what led to it: "connection lost: timed out".
fn words(error: impl Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
