//! A run in virtual time: every host in one thread.

use std::net::SocketAddr;
use std::sync::Arc;

use lftp_ftp::{DEFAULT_PORT, DataPorts, Server, Store};
use lftp_netem::world::WorldStats;
use lftp_transport::{Runtime, VirtualRuntime};

use super::integrity::ExpectedFiles;
use super::session::Session;
use super::transfer::{RunProgress, TransferContext, file_name};
use super::virtual_world::{ClientTask, SERVER, VirtualWorld};
use super::{Plan, RunError};
use crate::record::Validity;
use crate::rows::RunRecord;

/// Runs a plan in virtual time.
pub(super) fn run(plan: &Plan, progress: &Arc<RunProgress>) -> Result<RunRecord, RunError> {
    run_counted(plan, progress).map(|(record, _)| record)
}

/// Runs a plan in virtual time; also returns the statistics of the world.
pub(super) fn run_counted(
    plan: &Plan,
    progress: &Arc<RunProgress>,
) -> Result<(RunRecord, WorldStats), RunError> {
    let mut world = VirtualWorld::new(plan);
    let session = Session::new(plan, progress);
    let flows = plan.scenario.flows().len();
    let files = ExpectedFiles::default();
    for index in 0..flows {
        files.expect(&file_name(index), session.content.file(index));
    }
    let server = start_server(&mut world, &session, &files, flows)?;

    let mut tasks: Vec<ClientTask> = Vec::new();
    for index in 0..flows {
        let runtime: Arc<dyn Runtime> = VirtualRuntime::new(world.add_client(index)?);
        let context = TransferContext {
            runtime: Arc::clone(&runtime),
            server: SocketAddr::new(SERVER, DEFAULT_PORT),
            client_store: Arc::new(files.clone()),
            integrity: Arc::new(files.clone()),
        };
        let transfer = session.transfer(index, context);
        // Started by the world all at once, in this order; each waits for its own start time.
        tasks.push((runtime, Box::pin(transfer.run())));
    }
    let timings = world.run(tasks)?;
    server.stop();
    let (link, stats) = world.end(plan);
    let record = session.record(timings, link, Validity::of_virtual_time());
    Ok((record, stats))
}

fn start_server(
    world: &mut VirtualWorld,
    session: &Session<'_>,
    files: &ExpectedFiles,
    transfers: usize,
) -> Result<lftp_ftp::ServerHandle, RunError> {
    let runtime: Arc<dyn Runtime> = VirtualRuntime::new(world.add_server()?);
    let mut config = session.server_config();
    // The ten ports of the default, or one for each transfer if there are more.
    let more = u16::try_from(transfers)
        .unwrap_or(u16::MAX)
        .saturating_sub(10);
    config.data_ports = DataPorts::List((9000..=9009u16.saturating_add(more)).collect());
    // Not the default: a scenario decides how many clients there are.
    config.max_clients = transfers;
    let store: Arc<dyn Store> = Arc::new(files.clone());
    let server = Server::bind(Arc::clone(&runtime), config, store)?;
    let handle = server.handle();
    runtime.spawn(Box::pin(async move {
        // Only logged: the transfers fail with it, and say more.
        if let Err(error) = server.run().await {
            tracing::warn!(%error, "the server ended");
        }
    }));
    Ok(handle)
}
