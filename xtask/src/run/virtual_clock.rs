//! Virtual time: every host in one thread, a minute in a blink.

use std::net::SocketAddr;
use std::sync::Arc;

use lftp_ftp::{DEFAULT_PORT, DataPorts, Server, ServerConfig, Store};
use lftp_netem::world::WorldStats;
use lftp_transport::{Runtime, VirtualRuntime};

use super::arrival::Expectation;
use super::transfer::{Job, Place, Steps, file_name};
use super::virtual_world::{self, SERVER, VirtualWorld};
use super::{Plan, RunError};
use crate::record::{Outcome, SenderLog, assemble};
use crate::rows::RunRecord;
use crate::scenario::Way;

/// Runs a plan in virtual time.
pub(super) fn run(plan: &Plan, steps: &Arc<Steps>) -> Result<RunRecord, RunError> {
    run_counted(plan, steps).map(|(record, _)| record)
}

/// The same, and what the world did.
pub(super) fn run_counted(
    plan: &Plan,
    steps: &Arc<Steps>,
) -> Result<(RunRecord, WorldStats), RunError> {
    let scenario = &plan.scenario;
    let mut world = VirtualWorld::new(plan);
    let senders = SenderLog::new(plan.detail);
    let content = plan.content();
    let flows = scenario.flows();
    let files = Expectation::default();
    for index in 0..flows.len() {
        files.expect(&file_name(index), content.file(index));
    }
    let server = start_server(&mut world, plan, &files, &senders)?;

    let mut jobs: Vec<virtual_world::Job> = Vec::new();
    for index in 0..flows.len() {
        let runtime: Arc<dyn Runtime> = VirtualRuntime::new(world.add_client(index)?);
        let place = Place {
            runtime: Arc::clone(&runtime),
            server: SocketAddr::new(SERVER, DEFAULT_PORT),
            client_store: Arc::new(files.clone()),
            witness: Arc::new(files.clone()),
        };
        let file = (index, content.file(index));
        let job = Job::new(plan, file, &senders, steps, place);
        jobs.push((runtime, Box::pin(job.run())));
    }
    let timings = world.run(jobs)?;
    server.stop();
    let (link, stats) = world.end(plan);
    let outcome = Outcome {
        clock: "virtual",
        seed: plan.seed,
        flows: senders.take_data_flows(timings.len()),
        timings,
        link,
        verdict: virtual_world::verdict(),
        command: plan.command(),
    };
    Ok((assemble(scenario, plan.detail, outcome), stats))
}

fn start_server(
    world: &mut VirtualWorld,
    plan: &Plan,
    files: &Expectation,
    senders: &SenderLog,
) -> Result<lftp_ftp::ServerHandle, RunError> {
    let runtime: Arc<dyn Runtime> = VirtualRuntime::new(world.add_server()?);
    let count = plan.scenario.flows().len();
    let mut config = ServerConfig::default();
    config.transport = plan.scenario.transport.config();
    // As many as usual, or more where there are more transfers.
    let more = u16::try_from(count).unwrap_or(u16::MAX).saturating_sub(10);
    config.data_ports = DataPorts::List((9000..=9009u16.saturating_add(more)).collect());
    config.max_clients = count;
    if plan.scenario.transfer.way == Way::Get {
        config.transport.observer = Some(senders.tap());
    }
    let store: Arc<dyn Store> = Arc::new(files.clone());
    let server = Server::bind(Arc::clone(&runtime), config, store)?;
    let handle = server.handle();
    runtime.spawn(Box::pin(async move {
        if let Err(error) = server.run().await {
            tracing::warn!(%error, "the server ended");
        }
    }));
    Ok(handle)
}
