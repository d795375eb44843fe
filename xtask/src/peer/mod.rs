//! Other people's transports in LFTP's place: the same virtual world, the same losses, the same
//! bytes.
//!
//! | module | what |
//! |---|---|
//! | [`name`] | what the peers are called on the command line |
//! | [`letter`] | a file on a byte stream: sent, checked by the receiver, confirmed |
//! | [`quinn`] | quinn, its runtime on a virtual host |
//! | [`kcp`] | KCP's state machine and the loop around it |
//!
//! A peer's client begins when LFTP's would, and its transfer is over when LFTP's is: at the
//! receiver's confirmation, handshake included. What it cannot finish within the scenario's
//! limit is a result, not an error.
//!
//! A seed gives the same packets again: endpoints draw from the virtual host's generator. What
//! they draw from the operating system all the same (TLS keys, connection ids, where BBR's gain
//! cycle begins) decides neither a packet's size nor its time.
//!
//! s2n-quic is not among them: its I/O provider would have to be written against its unstable
//! internals, and both of its TLS providers build the whole of AWS-LC.

mod kcp;
mod letter;
mod name;
pub(crate) mod quinn;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lftp_netem::world::Host;
use lftp_transport::{BoxFuture, Runtime, sleep, timeout};

pub(crate) use self::name::{Foreign, Peer};
use crate::record::{Outcome, Timing, assemble};
use crate::rows::RunRecord;
use crate::run::{Plan, RunError, SERVER, VirtualRuntime, VirtualWorld, verdict};
use crate::scenario::{Scenario, Way};

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
    index: usize,
    contents: Bytes,
}

impl Errand {
    fn way(&self) -> Way {
        self.scenario.transfer.way
    }
}

/// Runs a peer through a plan in virtual time.
///
/// # Errors
/// [`RunError`] when it could not even begin.
pub(crate) fn run(plan: &Plan, peer: Foreign) -> Result<RunRecord, RunError> {
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
        let runtime = VirtualRuntime::shared(host.clone());
        let errand = Errand {
            host,
            server: SocketAddr::new(SERVER, PORT),
            scenario: scenario.clone(),
            index,
            contents: content.file(index),
        };
        let start = Duration::from_nanos(flow.start.0);
        let job = timed(Arc::clone(&runtime), start, errand, peer);
        jobs.push((runtime, Box::pin(job) as BoxFuture<Timing>));
    }
    let timings = world.run(jobs)?;
    let (link, _) = world.end(plan);
    let packets_sent = link.forward_packets;
    let outcome = Outcome {
        clock: "virtual",
        seed: plan.seed,
        flows: Vec::new(),
        timings,
        link,
        verdict: verdict(),
        command: command(plan, peer),
    };
    let mut record = assemble(scenario, plan.detail, outcome);
    // No transport but LFTP tells what its senders do: the clock and the link have to.
    record.summary.packets_sent = packets_sent;
    record.summary.congestion = peer.congestion().to_owned();
    record.summary.recovery = peer.family().to_owned();
    Ok(record)
}

/// The command that makes a peer's run again.
pub(crate) fn command(plan: &Plan, peer: Foreign) -> String {
    let (scenario, seed) = (plan.scenario.arguments(), plan.seed);
    format!("cargo xtask compare {scenario} --peers {peer} --seeds {seed}")
}

fn serve(peer: Foreign, service: Service) -> Result<(), RunError> {
    match peer {
        Foreign::Quinn(flavor) => quinn::serve(flavor, service),
        Foreign::Kcp => kcp::serve(service),
    }
}

async fn carry(peer: Foreign, errand: &Errand) -> Result<bool, String> {
    match peer {
        Foreign::Quinn(flavor) => quinn::carry(flavor, errand).await,
        Foreign::Kcp => kcp::carry(errand).await,
    }
}

/// Carries one file and notes when.
async fn timed(
    runtime: Arc<dyn Runtime>,
    start: Duration,
    errand: Errand,
    peer: Foreign,
) -> Timing {
    sleep(&*runtime, start).await;
    let begun = runtime.now();
    let limit = Duration::from_nanos(errand.scenario.limits.time.0);
    let (intact, failure) = match timeout(&*runtime, limit, carry(peer, &errand)).await {
        Ok(Ok(intact)) => (intact, None),
        Ok(Err(failure)) => (false, Some(failure)),
        Err(_) => {
            let failure = format!("not finished within {} s", limit.as_secs_f64());
            (false, Some(failure))
        }
    };
    Timing {
        begun_ns: begun.as_nanos(),
        ended_ns: runtime.now().as_nanos(),
        bytes: errand.contents.len() as u64,
        failure,
        intact,
    }
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
