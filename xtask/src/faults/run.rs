//! One run: the world, its people, and what is asked of it at the end.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lftp_ftp::{
    Client, ClientConfig, DEFAULT_PORT, DataPorts, Name, Receipt, Server, ServerConfig, Store,
    Target, TransferError,
};
use lftp_netem::Direction;
use lftp_netem::world::{AddressError, Host, Side, World, WorldConfig, WorldError};
use lftp_transport::{Identity, Runtime, VirtualRuntime};
use tokio::sync::Notify;

use super::count::{Count, Counts};
use super::disk::Disk;
use super::machine::{Machine, sleep};
use super::on_path::{Attacker, OnPath};
use super::plan::{CLEAR_AFTER, Crash, Plan};
use super::rogue::Rogue;
use super::source::{self, FILE};
use super::tries;
use crate::run::client_ip;
use crate::scenario::Way;

/// Where the server is.
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));

/// Where nobody is who could crash.
const CLOCK: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 2));

/// Between two tries, as somebody who repeats the command would wait.
const BETWEEN_TRIES: Duration = Duration::from_secs(2);

/// When even the slowest run is over, once nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_secs(900);

/// What became of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What went wrong on purpose, and how tries ended.
    pub(crate) counts: Counts,
    /// What should not have been, in words.
    pub(crate) failure: Option<String>,
}

/// What cannot go wrong on purpose.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The folder under a disk.
    #[error("a folder for the run: {0}")]
    Folder(#[from] std::io::Error),
    /// The virtual world.
    #[error("the virtual world: {0}")]
    Address(#[from] AddressError),
}

/// Runs the world of a seed.
///
/// # Errors
///
/// [`RunError`] when it cannot be set up.
pub(crate) fn run(seed: u64) -> Result<Outcome, RunError> {
    let plan = Plan::new(seed);
    let scene = Scene::new(plan)?;
    let count = scene.shared.count.clone();
    let failure = scene.play()?;
    Ok(Outcome {
        counts: count.get(),
        failure,
    })
}

/// What everybody in the world shares.
#[derive(Debug)]
struct Shared {
    plan: Plan,
    count: Count,
    attacker: Arc<Attacker>,
    /// Nothing goes wrong any more.
    is_clear: AtomicBool,
    /// Versions of the file, oldest first; the sender has the one of this number by now.
    versions: Vec<Bytes>,
    version: AtomicUsize,
    /// What the receiver may have under the file's name besides those.
    older: Option<Bytes>,
    sender: PathBuf,
    receiver: PathBuf,
    result: Mutex<Option<Result<Arrival, String>>>,
    done: Notify,
}

/// What the client says of the try that succeeded.
#[derive(Debug)]
struct Arrival {
    receipt: Receipt,
    /// The version that the sender had when it began.
    since: usize,
}

struct Scene {
    world: World,
    clock: Host,
    server: Machine,
    client: Machine,
    rogues: Vec<Host>,
    shared: Arc<Shared>,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(plan: Plan) -> Result<Self, RunError> {
        let folder = tempfile::tempdir()?;
        let of = |name: &str| folder.path().join(name);
        let (server_folder, client_folder) = (of("server"), of("client"));
        fs::create_dir(&server_folder)?;
        fs::create_dir(&client_folder)?;
        let (sender, receiver) = match plan.way {
            Way::Put => (client_folder.clone(), server_folder.clone()),
            Way::Get => (server_folder.clone(), client_folder.clone()),
        };
        let versions = source::versions(&plan);
        source::place(&sender, &versions[0])?;
        let older = plan.replaces.then(|| source::older(plan.seed));
        if let Some(older) = &older {
            source::place(&receiver, older)?;
        }

        let mut world = World::with_config(&WorldConfig::new(&plan.network, plan.seed));
        let clock = world.add_host(Side::Server, CLOCK)?;
        let server = world.add_host(Side::Server, SERVER)?;
        let client = world.add_host(Side::Client, client_ip(0))?;
        let rogues = (0..plan.rogues)
            .map(|index| world.add_host(Side::Client, client_ip(100 + index)))
            .collect::<Result<_, _>>()?;
        let count = Count::default();
        let machine = |name, host, folder: &Path, faults: &[_], seed| Machine {
            name,
            host,
            disk: Disk::new(seed, faults.to_vec(), count.clone()),
            folder: folder.into(),
            durable: plan.durable,
            count: count.clone(),
        };
        let seed = plan.seed;
        let server = machine("server", server, &server_folder, &plan.server.disk, seed);
        let client = machine("client", client, &client_folder, &plan.client.disk, !seed);
        let attacker = Attacker::new(plan.seed, plan.meddling, count.clone());
        Ok(Self {
            world,
            clock,
            server,
            client,
            rogues,
            shared: Arc::new(Shared {
                plan,
                count,
                attacker,
                is_clear: AtomicBool::new(false),
                versions,
                version: AtomicUsize::new(0),
                older,
                sender,
                receiver,
                result: Mutex::new(None),
                done: Notify::new(),
            }),
            _folder: folder,
        })
    }

    /// Runs until the file has arrived; what should not have been.
    fn play(mut self) -> Result<Option<String>, RunError> {
        let shared = Arc::clone(&self.shared);
        let plan = &shared.plan;
        self.inhabit(&plan.server.crashes, &self.server, serve);
        self.inhabit(&plan.client.crashes, &self.client, ask);
        for (index, host) in self.rogues.iter().enumerate() {
            let runtime: Arc<dyn Runtime> = VirtualRuntime::new(host.clone());
            let whom = SocketAddr::new(SERVER, DEFAULT_PORT);
            let seed = plan.seed.wrapping_add(index as u64);
            let rogue = Rogue::new(runtime, whom, (FILE, seed), shared.count.clone());
            host.spawn(rogue.run());
        }
        self.clock.spawn(roam(
            self.clock.clone(),
            self.client.host.clone(),
            Arc::clone(&shared),
        ));
        self.clock
            .spawn(replace(self.clock.clone(), Arc::clone(&shared)));
        self.clock.spawn(clear(
            self.clock.clone(),
            self.rogues.clone(),
            [Arc::clone(&self.server.disk), Arc::clone(&self.client.disk)],
            Arc::clone(&shared),
        ));

        let limit = CLEAR_AFTER + PATIENCE;
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        self.world
            .set_time_limit(lftp_netem::Time::from_nanos(limit));
        let end = self.world.block_on(shared.done.notified());
        self.count_packets();
        // Whoever has the file says so and loses its power.
        for machine in [&self.server, &self.client] {
            machine.host.kill();
            if plan.durable {
                machine.disk.lose_power()?;
            } else {
                machine.disk.keep_all()?;
            }
        }
        Ok(shared.judge(end).err())
    }

    /// Brings a machine to life, and to its crashes.
    fn inhabit(
        &self,
        crashes: &[Crash],
        machine: &Machine,
        start: fn(&Machine, &Arc<Shared>, Arc<dyn Store>),
    ) {
        let (shared, own) = (Arc::clone(&self.shared), machine.clone());
        let (clear, look) = (Arc::clone(&shared), Arc::clone(&shared));
        self.clock.spawn(machine.clone().live(
            self.clock.clone(),
            crashes.to_vec(),
            move || clear.is_clear.load(Ordering::Relaxed),
            move |store| start(&own, &shared, store),
            move || look.look(),
        ));
    }

    fn count_packets(&self) {
        for direction in [Direction::Forward, Direction::Reverse] {
            let counters = self.world.links().counters(direction);
            for (what, many) in [
                ("packet: carried", counters.delivered),
                ("packet: lost", counters.lost()),
                ("packet: lost in a blackout", counters.blackout_drops),
                ("packet: duplicated", counters.duplicated),
                ("packet: corrupted", counters.corrupted),
                ("packet: reordered", counters.reordered),
            ] {
                self.shared.count.add(what, many);
            }
        }
    }
}

fn serve(machine: &Machine, shared: &Arc<Shared>, store: Arc<dyn Store>) {
    let runtime: Arc<dyn Runtime> = VirtualRuntime::new(machine.host.clone());
    let mut config = ServerConfig::default();
    // Fewer than usual: some clients come ahead to one that there is, others for nothing.
    config.data_ports = DataPorts::List((9000..=9003).collect());
    // The same key after every crash, as from a file.
    config.transport.identity = Some(Identity::from_secret([1; 32]));
    let server = Server::bind(Arc::clone(&runtime), config, store);
    let server = server.expect("the ports of a machine that has just come up are free");
    let shared = Arc::clone(shared);
    runtime.spawn(Box::pin(async move {
        if let Err(error) = server.run().await {
            shared.end(Err(format!("the server ended: {error}")));
        }
    }));
}

fn ask(machine: &Machine, shared: &Arc<Shared>, store: Arc<dyn Store>) {
    let runtime: Arc<dyn Runtime> = Arc::new(OnPath {
        inner: VirtualRuntime::new(machine.host.clone()),
        attacker: Arc::clone(&shared.attacker),
    });
    let (host, shared) = (machine.host.clone(), Arc::clone(shared));
    machine.host.spawn(async move {
        let end = loop {
            let since = shared.version.load(Ordering::Relaxed);
            match shared.carry(&runtime, &store).await {
                Ok(receipt) => break Ok(Arrival { receipt, since }),
                Err(error) if tries::is_to_be_expected(&error) => {
                    shared
                        .count
                        .one(&format!("try ended: {}", tries::word(&error)));
                    tracing::debug!("{error}");
                }
                Err(error) => break Err(format!("a try ended with: {error}")),
            }
            sleep(&host, BETWEEN_TRIES).await;
        };
        shared.end(end);
    });
}

async fn roam(clock: Host, client: Host, shared: Arc<Shared>) {
    let mut at = Duration::ZERO;
    for (index, &moment) in shared.plan.roams.iter().enumerate() {
        sleep(&clock, moment.saturating_sub(at)).await;
        at = moment;
        client
            .set_ip(client_ip(1 + index))
            .expect("nobody else has that address");
        shared.count.one("client: another address");
    }
}

async fn replace(clock: Host, shared: Arc<Shared>) {
    let mut at = Duration::ZERO;
    for (index, &moment) in shared.plan.replacements.iter().enumerate() {
        sleep(&clock, moment.saturating_sub(at)).await;
        at = moment;
        source::place(&shared.sender, &shared.versions[index + 1])
            .expect("the folder under the disk does not fail");
        shared.version.store(index + 1, Ordering::Relaxed);
        shared.count.one("sender: the file is replaced");
    }
}

async fn clear(clock: Host, rogues: Vec<Host>, disks: [Arc<Disk>; 2], shared: Arc<Shared>) {
    sleep(&clock, CLEAR_AFTER).await;
    shared.is_clear.store(true, Ordering::Relaxed);
    shared.attacker.leave();
    disks.iter().for_each(|disk| disk.mend());
    rogues.iter().for_each(Host::kill);
}

impl Shared {
    async fn carry(
        &self,
        runtime: &Arc<dyn Runtime>,
        store: &Arc<dyn Store>,
    ) -> Result<Receipt, TransferError> {
        let server = SocketAddr::new(SERVER, DEFAULT_PORT);
        let mut config = ClientConfig::default();
        config.transport.identity = Some(Identity::from_secret([2; 32]));
        config.transfers_at_once = true;
        let mut client = Client::connect(Arc::clone(runtime), server, config).await?;
        let name = Name::parse(FILE).expect("an ordinary name");
        match self.plan.way {
            Way::Put => {
                let source = store.open(&name)?;
                client.put(source, FILE, true, &()).await
            }
            Way::Get => {
                let overwrite = true;
                let name = &name;
                let target = Target {
                    store,
                    name,
                    overwrite,
                };
                client.get(FILE, target, &()).await
            }
        }
    }

    fn end(&self, end: Result<Arrival, String>) {
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        result.get_or_insert(end);
        self.done.notify_one();
    }

    /// While nothing has arrived: the name stands for what it stood for, or for a whole file.
    fn look(&self) {
        let now = self.receivers_file();
        let is_whole = match &now {
            None => self.older.is_none(),
            Some(now) => self
                .older
                .iter()
                .chain(&self.versions)
                .any(|file| file == now),
        };
        if !is_whole {
            let what = now.map_or(0, |now| now.len());
            self.end(Err(format!(
                "after a crash the file's name stands for {what} bytes that are no file of the sender"
            )));
        }
    }

    fn receivers_file(&self) -> Option<Vec<u8>> {
        fs::read(self.receiver.join(FILE)).ok()
    }

    fn judge(&self, end: Result<(), WorldError>) -> Result<(), String> {
        end.map_err(|error| format!("the file has not arrived: {error}"))?;
        let result = self
            .result
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or_else(|| Err("it ended without a result".to_owned()));
        let Arrival { receipt, since } = result?;
        if receipt.resumed_bytes > 0 {
            self.count.one("transfer gone on with");
        }
        // The version may have been opened at any time of the try.
        let until = self.version.load(Ordering::Relaxed);
        let sent = &self.versions[since..=until];
        let sent: Vec<&Bytes> = sent
            .iter()
            .filter(|version| blake3::hash(version) == receipt.hash)
            .collect();
        let Some(&sent) = sent.first() else {
            return Err("the receipt's hash is not that of a file the sender had".to_owned());
        };
        match self.receivers_file() {
            Some(now) if now == *sent => Ok(()),
            Some(now) => Err(format!(
                "the receiver's file is not the one it said it had: {} bytes of {}, the first \
                 difference at {:?}",
                now.len(),
                sent.len(),
                now.iter().zip(sent).position(|(a, b)| a != b)
            )),
            None => Err("the receiver has no file of that name".to_owned()),
        }
    }
}
