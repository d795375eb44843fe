//! Real time: real UDP sockets on loopback, the proxy between client and server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use lftp_ftp::{DataPorts, DirStore, Server, ServerConfig, Store};
use lftp_netem::Direction;
use lftp_netem::proxy::{Proxy, ProxyConfig, ProxyReport};
use lftp_transport::{Runtime, TokioRuntime};

use super::arrival::ReadBack;
use super::transfer::{Job, Place, Steps, file_name};
use super::{Clock, Content, Plan, RunError};
use crate::record::{LinkLog, Outcome, SenderLog, Timing, Verdict, assemble};
use crate::rows::RunRecord;
use crate::scenario::Way;

/// Runs a plan in real time.
pub(super) fn run(plan: &Plan, steps: &Arc<Steps>) -> Result<RunRecord, RunError> {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| RunError::System {
            doing: "start the runtime",
            source,
        })?;
    tokio.block_on(run_inside(plan, steps))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a run in real time has a real beginning"
)]
async fn run_inside(plan: &Plan, steps: &Arc<Steps>) -> Result<RunRecord, RunError> {
    let scenario = &plan.scenario;
    let flows = scenario.flows();
    let origin = Instant::now();
    let runtime: Arc<dyn Runtime> = TokioRuntime::with_origin(origin);
    let senders = SenderLog::new(plan.detail);
    let link = Arc::new(Mutex::new(LinkLog::new(plan.detail)));
    let content = plan.content();
    let folders = Folders::new(plan, &content)?;

    let mut config = ServerConfig::default();
    config.listen = (Ipv4Addr::LOCALHOST, 0).into();
    config.data_ports = DataPorts::Auto(u16::try_from(flows.len()).unwrap_or(u16::MAX));
    config.transport = scenario.transport.config();
    let way = scenario.transfer.way;
    if way == Way::Get {
        config.transport.observer = Some(senders.tap());
    }
    let server = Server::bind(Arc::clone(&runtime), config, Arc::clone(&folders.server))?;
    let proxy = start_proxy(plan, &server, origin, &link)?;
    let addrs = proxy.listen_addrs();
    let port_map = server
        .data_ports()
        .into_iter()
        .zip(addrs[1..].iter().map(SocketAddr::port));
    let port_map: std::collections::BTreeMap<u16, u16> = port_map.collect();
    let handle = server.handle();
    let serving = tokio::spawn(server.run());

    let jobs = (0..flows.len()).map(|index| {
        let place = Place {
            runtime: Arc::clone(&runtime),
            server: addrs[0],
            client_store: Arc::clone(&folders.client),
            witness: Arc::new(ReadBack(Arc::clone(match way {
                Way::Put => &folders.server,
                Way::Get => &folders.client,
            }))),
        };
        let file = (index, content.file(index));
        let mut job = Job::new(plan, file, &senders, steps, place);
        job.config.port_map.clone_from(&port_map);
        job.config.likely_ports = Some(port_map.keys().copied().collect());
        tokio::spawn(job.run())
    });
    let jobs: Vec<_> = jobs.collect();
    let mut timings: Vec<Timing> = Vec::new();
    for job in jobs {
        timings.push(job.await.map_err(|error| RunError::System {
            doing: "finish a transfer",
            source: std::io::Error::other(error),
        })?);
    }
    handle.stop();
    // What it could say of its ports, the transfers have said already.
    let _ = serving.await;
    let verdict = judged(&proxy.stop());
    let link = std::mem::replace(
        &mut *link.lock().unwrap_or_else(PoisonError::into_inner),
        LinkLog::new(plan.detail),
    );
    let outcome = Outcome {
        clock: "real",
        seed: plan.seed,
        flows: senders.take_data_flows(timings.len()),
        timings,
        link,
        verdict,
        command: plan.command(),
    };
    debug_assert_eq!(plan.clock, Clock::Real);
    Ok(assemble(scenario, plan.detail, outcome))
}

/// The two ends' folders, gone when the run is over.
struct Folders {
    server: Arc<dyn Store>,
    client: Arc<dyn Store>,
    _folder: tempfile::TempDir,
}

impl Folders {
    fn new(plan: &Plan, content: &Content) -> Result<Self, RunError> {
        let system = |doing| move |source| RunError::System { doing, source };
        let folder = tempfile::tempdir().map_err(system("make a folder for the files"))?;
        let place = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).map_err(system("make a folder for the files"))?;
            Ok::<_, RunError>(path)
        };
        let (server, client) = (place("server")?, place("client")?);
        if plan.scenario.transfer.way == Way::Get {
            for index in 0..plan.scenario.flows().len() {
                let path = server.join(file_name(index).as_str());
                std::fs::write(path, content.file(index)).map_err(system("write a file"))?;
            }
        }
        // How long a disk takes to be sure is not the network's business.
        let store = |path| DirStore::open(path).map(|store| store.durable(false));
        Ok(Self {
            server: Arc::new(store(server)?),
            client: Arc::new(store(client)?),
            _folder: folder,
        })
    }
}

fn start_proxy(
    plan: &Plan,
    server: &Server,
    origin: Instant,
    link: &Arc<Mutex<LinkLog>>,
) -> Result<Proxy, RunError> {
    let ip = Ipv4Addr::LOCALHOST;
    let mut config = ProxyConfig::new(&plan.scenario.network, plan.seed);
    config.listen.push(((ip, 0).into(), server.local_addr()));
    config
        .listen
        .extend(server.data_ports().into_iter().map(|port| {
            let (listen, to): (SocketAddr, SocketAddr) = ((ip, 0).into(), (ip, port).into());
            (listen, to)
        }));
    config.client_to_server = match plan.scenario.transfer.way {
        Way::Put => Direction::Forward,
        Way::Get => Direction::Reverse,
    };
    config.origin = Some(origin);
    config.tape = plan.tap.tape.as_ref().map(|given| (*given.tape).clone());
    config.capture = plan.tap.capture.is_some();
    let (link, tap) = (Arc::clone(link), plan.tap.clone());
    config.on_records = Some(Box::new(move |records| {
        tap.records(records);
        link.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(records);
    }));
    Ok(Proxy::start(config)?)
}

/// Whether a run in real time may be believed.
pub(crate) fn judged(report: &ProxyReport) -> Verdict {
    let late = report.lateness;
    Verdict {
        valid: report.valid,
        reason: report.reason.clone(),
        lateness_ns: [late.p50_ns, late.p99_ns, late.max_ns],
        own_drops: report.proxy.own_drops(),
    }
}
