//! One peer through one plan.

use std::net::SocketAddr;
use std::sync::Arc;

use lftp_transport::{BoxFuture, Runtime, VirtualRuntime};

use super::name::Foreign;
use super::task::{ClientTask, PORT, ServerTask, Span, record, request, timed};
#[cfg(target_os = "linux")]
use super::tcp;
use super::{kcp, quinn, s2n};
use crate::record::{Timing, Validity};
use crate::rows::RunRecord;
use crate::run::{Plan, RunError, SERVER, VirtualWorld};

/// Runs a peer through a plan.
///
/// # Errors
/// [`RunError`] when it could not start.
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
        ServerTask {
            host: world.add_server()?,
            scenario: scenario.clone(),
            files: (0..flows.len()).map(|index| content.file(index)).collect(),
        },
    )?;
    let mut tasks = Vec::new();
    for (index, flow) in flows.iter().enumerate() {
        let host = world.add_client(index)?;
        let runtime: Arc<dyn Runtime> = VirtualRuntime::new(host.clone());
        let task = ClientTask {
            host,
            server: SocketAddr::new(SERVER, PORT),
            scenario: scenario.clone(),
            request: request(plan, &content, index),
        };
        let span = Span::of(scenario, flow.start.0, task.request.contents.len());
        let transfer = async move { transfer(peer, &task).await };
        let timed = timed(Arc::clone(&runtime), span, transfer);
        tasks.push((runtime, Box::pin(timed) as BoxFuture<Timing>));
    }
    let timings = world.run(tasks)?;
    let (link, _) = world.end(plan);
    Ok(record(
        plan,
        peer,
        timings,
        link,
        Validity::of_virtual_time(),
    ))
}

fn serve(peer: Foreign, server: ServerTask) -> Result<(), RunError> {
    match peer {
        Foreign::Quinn(flavor) => quinn::serve(flavor, server),
        Foreign::S2n(congestion) => s2n::serve(congestion, server),
        Foreign::Kcp => kcp::serve(server),
        Foreign::Tcp(_) => unreachable!("it has no virtual clock"),
    }
}

async fn transfer(peer: Foreign, task: &ClientTask) -> Result<bool, String> {
    match peer {
        Foreign::Quinn(flavor) => quinn::transfer(flavor, task).await,
        Foreign::S2n(congestion) => s2n::transfer(congestion, task).await,
        Foreign::Kcp => kcp::transfer(task).await,
        Foreign::Tcp(_) => unreachable!("it has no virtual clock"),
    }
}
