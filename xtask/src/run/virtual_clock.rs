//! Virtual time: every host in one thread, a minute in a blink.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lftp_ftp::{ClientConfig, DEFAULT_PORT, DataPorts, Server, ServerConfig, Store};
use lftp_netem::link::Direction;
use lftp_netem::world::{Links, Side, World, WorldConfig, WorldStats};
use lftp_transport::{Runtime, sleep};

use super::arrival::Expectation;
use super::transfer::{Job, Steps, file_name};
use super::virtual_runtime::VirtualRuntime;
use super::{Plan, RunError};
use crate::record::{LinkLog, Outcome, SenderLog, Timing, Verdict, assemble};
use crate::rows::RunRecord;
use crate::scenario::Way;

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));

/// How often the link's records are taken away, so that they do not pile up.
const SWEEP: Duration = Duration::from_secs(1);

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
    let flows = scenario.flows();
    let way = scenario.transfer.way;
    let mut config = WorldConfig::new(&scenario.network, plan.seed);
    config.recording = true;
    if way == Way::Get {
        config.client_to_server = Direction::Reverse;
    }
    let mut world = World::with_config(&config);
    let senders = SenderLog::new(plan.detail);
    let content = plan.content();
    let files = Expectation::default();
    for index in 0..flows.len() {
        files.expect(&file_name(index), content.file(index));
    }
    let server = start_server(&mut world, plan, &files, &senders)?;

    let link = Arc::new(Mutex::new(LinkLog::new(plan.detail)));
    let mut jobs = Vec::new();
    for (index, flow) in flows.iter().enumerate() {
        let host = world
            .add_host(Side::Client, client_ip(index))
            .map_err(unreachable_address)?;
        let runtime = VirtualRuntime::shared(host);
        if index == 0 {
            runtime.spawn(Box::pin(sweep(
                Arc::clone(&runtime),
                world.links(),
                Arc::clone(&link),
            )));
        }
        let mut config = ClientConfig::default();
        config.transport = scenario.transport_of(flow);
        if way == Way::Put {
            config.transport.observer = Some(senders.tap());
        }
        let contents = content.file(index);
        steps.expect(contents.len() as u64);
        jobs.push(Job {
            runtime,
            server: SocketAddr::new(SERVER, DEFAULT_PORT),
            config,
            way,
            index,
            start: Duration::from_nanos(flow.start.0),
            limit: Duration::from_nanos(scenario.limits.time.0),
            contents,
            client_store: Arc::new(files.clone()),
            witness: Arc::new(files.clone()),
            steps: Arc::clone(steps),
        });
    }
    let timings = world.block_on(run_all(jobs))?;
    server.stop();
    drain(&world.links(), &link);
    let stats = world.stats();
    drop(world);
    let outcome = Outcome {
        clock: "virtual",
        seed: plan.seed,
        flows: senders.take_data_flows(timings.len()),
        timings,
        link: std::mem::replace(
            &mut *link.lock().unwrap_or_else(PoisonError::into_inner),
            LinkLog::new(plan.detail),
        ),
        verdict: Verdict {
            valid: true,
            reason: "virtual time is never late".to_owned(),
            lateness_ns: [0; 3],
            own_drops: 0,
        },
        command: plan.command(),
    };
    Ok((assemble(scenario, plan.detail, outcome), stats))
}

fn start_server(
    world: &mut World,
    plan: &Plan,
    files: &Expectation,
    senders: &SenderLog,
) -> Result<lftp_ftp::ServerHandle, RunError> {
    let host = world
        .add_host(Side::Server, SERVER)
        .map_err(unreachable_address)?;
    let runtime = VirtualRuntime::shared(host);
    let count = plan.scenario.flows().len();
    let mut config = ServerConfig::default();
    config.transport = plan.scenario.transport.config();
    config.data_ports = DataPorts::Auto(u16::try_from(count).unwrap_or(u16::MAX));
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

/// Addresses are counted up from this, so each is free and of the right kind.
fn client_ip(index: usize) -> IpAddr {
    let base = u32::from(Ipv4Addr::new(10, 0, 2, 1));
    Ipv4Addr::from(base + u32::try_from(index).unwrap_or(u32::MAX >> 8)).into()
}

fn unreachable_address(error: lftp_netem::world::AddressError) -> RunError {
    RunError::System {
        doing: "add a host",
        source: std::io::Error::other(error),
    }
}

async fn run_all(jobs: Vec<Job>) -> Vec<Timing> {
    let timings: Arc<Mutex<Vec<Option<Timing>>>> = Arc::new(Mutex::new(vec![None; jobs.len()]));
    let done = Arc::new(tokio::sync::Notify::new());
    for (index, job) in jobs.into_iter().enumerate() {
        let (timings, done) = (Arc::clone(&timings), Arc::clone(&done));
        let own = Arc::clone(&job.runtime);
        own.spawn(Box::pin(async move {
            let timing = job.run().await;
            timings.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(timing);
            done.notify_one();
        }));
    }
    loop {
        done.notified().await;
        let all: Option<Vec<Timing>> = timings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect();
        if let Some(all) = all {
            return all;
        }
    }
}

async fn sweep(runtime: Arc<dyn Runtime>, links: Links, link: Arc<Mutex<LinkLog>>) {
    loop {
        sleep(&*runtime, SWEEP).await;
        drain(&links, &link);
    }
}

fn drain(links: &Links, link: &Mutex<LinkLog>) {
    let mut records = Vec::new();
    links.take_records(Direction::Forward, &mut records);
    links.take_records(Direction::Reverse, &mut records);
    link.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(&records);
}
