//! A run in real time: UDP sockets on the loopback interface, the proxy between client and server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use lftp_ftp::{DataPorts, DirStore, Server, Store};
use lftp_netem::Direction;
use lftp_netem::proxy::{Proxy, ProxyConfig};
use lftp_transport::{Runtime, TokioRuntime};

use super::integrity::ReadBack;
use super::session::Session;
use super::transfer::{RunProgress, TransferContext, file_name};
use super::{Content, Plan, RunError};
use crate::record::{LinkLog, Timing, Validity};
use crate::rows::RunRecord;
use crate::scenario::Operation;

/// Runs a plan in real time.
pub(super) fn run(plan: &Plan, progress: &Arc<RunProgress>) -> Result<RunRecord, RunError> {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| RunError::System {
            doing: "start the runtime",
            source,
        })?;
    tokio.block_on(run_inside(plan, progress))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a run in real time has a real beginning"
)]
async fn run_inside(plan: &Plan, progress: &Arc<RunProgress>) -> Result<RunRecord, RunError> {
    let scenario = &plan.scenario;
    let flows = scenario.flows();
    // One origin for transport, proxy and records: their times are compared with each other.
    let origin = Instant::now();
    let runtime: Arc<dyn Runtime> = TokioRuntime::with_origin(origin);
    let link = Arc::new(Mutex::new(LinkLog::new(plan.detail)));
    let session = Session::new(plan, progress);
    let folders = Folders::new(plan, &session.content)?;

    let mut config = session.server_config();
    config.listen = (Ipv4Addr::LOCALHOST, 0).into();
    // One for each transfer, or the later ones would wait for a port instead of the network.
    config.data_ports = DataPorts::Auto(u16::try_from(flows.len()).unwrap_or(u16::MAX));
    // Before the proxy, which has to know the ports that the server was given.
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

    let transfers = (0..flows.len()).map(|index| {
        let context = TransferContext {
            runtime: Arc::clone(&runtime),
            server: addrs[0],
            client_store: Arc::clone(&folders.client),
            integrity: Arc::new(ReadBack(Arc::clone(match scenario.transfer.operation {
                Operation::Put => &folders.server,
                Operation::Get => &folders.client,
            }))),
        };
        let mut transfer = session.transfer(index, context);
        // The server names its own ports; the client has to reach them through the proxy.
        transfer.config.port_map.clone_from(&port_map);
        // The ports are not the usual ones: without these the client would spend a round trip more
        // than a real one.
        transfer.config.likely_ports = Some(port_map.keys().copied().collect());
        tokio::spawn(transfer.run())
    });
    let transfers: Vec<_> = transfers.collect();
    let mut timings: Vec<Timing> = Vec::new();
    for transfer in transfers {
        timings.push(transfer.await.map_err(|error| RunError::System {
            doing: "finish a transfer",
            source: std::io::Error::other(error),
        })?);
    }
    // Before the proxy is stopped: the server's last packets still cross it.
    handle.stop();
    // An error of the server has already shown in the transfers.
    let _ = serving.await;
    let validity = Validity::from(&proxy.stop());
    let link = std::mem::replace(
        &mut *link.lock().unwrap_or_else(PoisonError::into_inner),
        LinkLog::new(plan.detail),
    );
    Ok(session.record(timings, link, validity))
}

/// The folders of both ends, removed when the run is over.
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
        if plan.scenario.transfer.operation == Operation::Get {
            for index in 0..plan.scenario.flows().len() {
                let path = server.join(file_name(index).as_str());
                std::fs::write(path, content.file(index)).map_err(system("write a file"))?;
            }
        }
        // The run measures the network; waiting for the disk would only add noise.
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
    // Forward is the way of the data, whichever side sends it: profiles and reports speak of that.
    config.links.client_to_server = match plan.scenario.transfer.operation {
        Operation::Put => Direction::Forward,
        Operation::Get => Direction::Reverse,
    };
    config.origin = Some(origin);
    config.links.replay = plan
        .tap
        .replay
        .as_ref()
        .map(|given| (*given.recording).clone());
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
