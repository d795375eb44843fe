//! One run: the world, its tasks, and the properties checked at the end.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lftp_ftp::{
    Access, Client, ClientConfig, DEFAULT_PORT, DataPorts, Name, Receipt, Server, ServerConfig,
    Store, Target, TransferError,
};
use lftp_netem::Direction;
use lftp_netem::world::{AddressError, Host, World, WorldConfig};
use lftp_transport::{Identity, Runtime, VirtualRuntime};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::Notify;

use super::count::{Count, Counts};
use super::disk::Disk;
use super::keys::{self, Keys};
use super::machine::{Machine, sleep};
use super::meanwhile;
use super::on_path::{Attacker, OnPath};
use super::outcome::{self, Causes};
use super::plan::{CLEAR_AFTER, Crash, Edit, Meanwhile, Plan};
use super::rogue::Rogue;
use super::source::{self, FILE, SourceFile};
use crate::run::client_ip;
use crate::scenario::Operation;

/// The address of the server.
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));

/// The address of a host that never crashes.
const CLOCK: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 2));

/// Pause between two attempts, as long as a user takes to repeat the command.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// The time after which even the slowest run has finished without further faults.
const RECOVERY_LIMIT: Duration = Duration::from_secs(900);

/// The outcome of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The injected faults, and the outcomes of the attempts.
    pub(crate) counts: Counts,
    /// The violated property.
    pub(crate) failure: Option<String>,
}

/// A failure to set the run up, which is not a fault of what is tested.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The folder under a disk cannot be created.
    #[error("a folder for the run: {0}")]
    Folder(#[from] std::io::Error),
    /// The virtual world refuses an address.
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
    let scenario = FaultScenario::new(plan)?;
    let count = scenario.shared.count.clone();
    let failure = scenario.play()?;
    Ok(Outcome {
        counts: count.get(),
        failure,
    })
}

/// The state shared by all tasks of the world.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) count: Count,
    pub(super) attacker: Arc<Attacker>,
    /// True once no more faults are injected.
    pub(super) is_clear: AtomicBool,
    pub(super) source: Mutex<SourceFile>,
    /// Edits of the sender's file so far.
    pub(super) edits: AtomicUsize,
    /// Decides which bytes rot.
    pub(super) rng: Mutex<ChaCha8Rng>,
    /// The receiver's earlier file, which may also be under the name.
    pub(super) older: Option<Bytes>,
    pub(super) sender: PathBuf,
    pub(super) receiver: PathBuf,
    pub(super) result: Mutex<Option<Result<Arrival, String>>>,
    pub(super) done: Notify,
}

/// The attempt that succeeded, as the client reports it.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) receipt: Receipt,
    /// The sender's version at the start of the attempt.
    pub(super) since: usize,
}

struct FaultScenario {
    world: World,
    clock: Host,
    server: Machine,
    client: Machine,
    rogues: Vec<Host>,
    shared: Arc<Shared>,
    _folder: tempfile::TempDir,
}

impl FaultScenario {
    fn new(plan: Plan) -> Result<Self, RunError> {
        let folder = tempfile::tempdir()?;
        let of = |name: &str| folder.path().join(name);
        let (server_folder, client_folder) = (of("server"), of("client"));
        fs::create_dir(&server_folder)?;
        fs::create_dir(&client_folder)?;
        let (sender, receiver) = match plan.operation {
            Operation::Put => (client_folder.clone(), server_folder.clone()),
            Operation::Get => (server_folder.clone(), client_folder.clone()),
        };
        let source = SourceFile::create(&plan, &sender)?;
        let older = plan.replaces.then(|| source::older(plan.seed));
        if let Some(older) = &older {
            source::place(&receiver.join(FILE), older, None)?;
        }

        let mut world = World::with_config(&WorldConfig::new(&plan.network, plan.seed));
        let clock = world.add_server(CLOCK)?;
        let server = world.add_server(SERVER)?;
        let client = world.add_client(client_ip(0))?;
        let rogues = (0..plan.rogues)
            .map(|index| world.add_client(client_ip(100 + index)))
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
        // Another seed than the server's: the two disks must not lose the same pages.
        let client = machine("client", client, &client_folder, &plan.client.disk, !seed);
        let attacker = Attacker::new(plan.seed, plan.attack_per_mille, count.clone());
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
                source: Mutex::new(source),
                edits: AtomicUsize::new(0),
                rng: Mutex::new(ChaCha8Rng::seed_from_u64(seed ^ 0x0707)),
                older,
                sender,
                receiver,
                result: Mutex::new(None),
                done: Notify::new(),
            }),
            _folder: folder,
        })
    }

    /// Runs until the file has arrived; returns the violated property, if any.
    fn play(mut self) -> Result<Option<String>, RunError> {
        let shared = Arc::clone(&self.shared);
        let plan = &shared.plan;
        self.start(&plan.server.crashes, &self.server, serve);
        self.start(&plan.client.crashes, &self.client, ask);
        for (index, host) in self.rogues.iter().enumerate() {
            let runtime: Arc<dyn Runtime> = VirtualRuntime::new(host.clone());
            let server = SocketAddr::new(SERVER, DEFAULT_PORT);
            let seed = plan.seed.wrapping_add(index as u64);
            let identity = match plan.keyed {
                true => Identity::from_secret(keys::rogue(index)),
                false => Identity::generate(|bytes| runtime.fill_random(bytes)),
            };
            let count = shared.count.clone();
            let rogue = Rogue::new(runtime, server, (FILE, seed), identity, count);
            host.spawn(rogue.run());
        }
        self.clock.spawn(change_addresses(
            self.clock.clone(),
            self.client.host.clone(),
            Arc::clone(&shared),
        ));
        self.clock
            .spawn(replace_files(self.clock.clone(), Arc::clone(&shared)));
        self.clock
            .spawn(edit_file(self.clock.clone(), Arc::clone(&shared)));
        self.clock.spawn(end_faults(
            self.clock.clone(),
            self.rogues.clone(),
            [Arc::clone(&self.server.disk), Arc::clone(&self.client.disk)],
            Arc::clone(&shared),
        ));

        // Reached only by a transfer that hangs: `check_end` reports it.
        let limit = CLEAR_AFTER + RECOVERY_LIMIT;
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        self.world
            .set_time_limit(lftp_netem::Time::from_nanos(limit));
        let end = self.world.block_on(shared.done.notified());
        self.count_packets();
        // The receiver has confirmed the file: now both machines lose power.
        for machine in [&self.server, &self.client] {
            machine.host.kill();
            if plan.durable {
                machine.disk.lose_power()?;
            } else {
                machine.disk.keep_all()?;
            }
        }
        Ok(shared.check_end(end).err())
    }

    /// Starts a machine, which then crashes and restarts as planned.
    fn start(
        &self,
        crashes: &[Crash],
        machine: &Machine,
        start: fn(&Machine, &Arc<Shared>, Arc<dyn Store>),
    ) {
        let (shared, own) = (Arc::clone(&self.shared), machine.clone());
        let (clear, check) = (Arc::clone(&shared), Arc::clone(&shared));
        let folder = Arc::clone(&machine.folder);
        self.clock.spawn(machine.clone().run(
            self.clock.clone(),
            crashes.to_vec(),
            move || clear.is_clear.load(Ordering::Relaxed),
            move |store| start(&own, &shared, store),
            move |crash| {
                if let Err(failure) = check.check_name().and_then(|()| check.check_quota()) {
                    check.end(Err(failure));
                }
                check.change_files(&folder, crash.meanwhile);
            },
        ));
    }

    fn count_packets(&self) {
        for direction in [Direction::Forward, Direction::Reverse] {
            let counters = self.world.links().counters(direction);
            for (what, many) in [
                ("packet: delivered", counters.delivered),
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
    // Fewer than usual: some early data connections find a free port, others do not.
    config.data_ports = DataPorts::List((9000..=9003).collect());
    // The same key after every crash, as from a file.
    config.transport.identity = Some(Identity::from_secret([1; 32]));
    let plan = &shared.plan;
    if plan.keyed {
        let keys = Keys::new(plan.rogues, plan.quota_bytes);
        config.access = Access::Listed(Arc::new(keys));
    }
    let server = Server::bind(Arc::clone(&runtime), config, store);
    let server = server.expect("the ports of a machine that has just started are free");
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
            // Before the attempt: any version from here on may be the one that arrives.
            let since = shared.source().versions().len() - 1;
            let edits = shared.edits.load(Ordering::Relaxed);
            match shared.transfer(&runtime, &store).await {
                Ok(receipt) => break Ok(Arrival { receipt, since }),
                Err(error) if outcome::is_expected(&error, shared.causes(edits)) => {
                    shared
                        .count
                        .one(&format!("attempt ended: {}", outcome::label(&error)));
                    tracing::debug!("{error}");
                }
                Err(error) => break Err(format!("an attempt ended with: {error}")),
            }
            sleep(&host, RETRY_PAUSE).await;
        };
        shared.end(end);
    });
}

async fn change_addresses(clock: Host, client: Host, shared: Arc<Shared>) {
    let mut at = Duration::ZERO;
    for (index, &time) in shared.plan.roams.iter().enumerate() {
        sleep(&clock, time.saturating_sub(at)).await;
        at = time;
        client
            .set_ip(client_ip(1 + index))
            .expect("no other host has that address");
        shared.count.one("client: another address");
    }
}

async fn replace_files(clock: Host, shared: Arc<Shared>) {
    let mut at = Duration::ZERO;
    for &time in &shared.plan.replacements {
        sleep(&clock, time.saturating_sub(at)).await;
        at = time;
        let replaced = shared.source().replace();
        replaced.expect("the folder under the disk does not fail");
        shared.count.one("sender: the file is replaced");
    }
}

async fn edit_file(clock: Host, shared: Arc<Shared>) {
    let mut at = Duration::ZERO;
    for &time in &shared.plan.edits {
        sleep(&clock, time.saturating_sub(at)).await;
        at = time;
        shared.edit(Edit::Dated, "at any time");
    }
}

async fn end_faults(clock: Host, rogues: Vec<Host>, disks: [Arc<Disk>; 2], shared: Arc<Shared>) {
    sleep(&clock, CLEAR_AFTER).await;
    shared.is_clear.store(true, Ordering::Relaxed);
    shared.attacker.stop();
    disks.iter().for_each(|disk| disk.repair());
    rogues.iter().for_each(Host::kill);
}

impl Shared {
    pub(super) fn source(&self) -> MutexGuard<'_, SourceFile> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What can explain an error of an attempt that began after so many edits.
    fn causes(&self, edits: usize) -> Causes {
        let is_clear = self.is_clear.load(Ordering::Relaxed);
        Causes {
            edited: self.edits.load(Ordering::Relaxed) > edits,
            crowded: self.plan.quota_bytes.is_some() && self.plan.rogues > 0 && !is_clear,
        }
    }

    /// Overwrites a part of the sender's file.
    fn edit(&self, edit: Edit, when: &str) {
        let edited = self.source().edit(edit);
        edited.expect("the folder under the disk does not fail");
        self.edits.fetch_add(1, Ordering::Relaxed);
        let how = match edit {
            Edit::Dated => "the file is edited",
            Edit::Undated => "the file is edited, its old time put back",
        };
        self.count.one(&format!("sender: {how}, {when}"));
    }

    /// Changes files of a machine that is down.
    fn change_files(&self, folder: &Path, meanwhile: Meanwhile) {
        if let Some(edit) = meanwhile.edit {
            self.edit(edit, "between two runs");
        }
        let rng = &mut *self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let rotted = match meanwhile.rot {
            true => meanwhile::rot(folder, rng, &self.count),
            false => Ok(()),
        };
        let remounted = match meanwhile.remount {
            true => meanwhile::remount(folder, &self.count),
            false => Ok(()),
        };
        rotted
            .and(remounted)
            .expect("the folder under the disk does not fail");
    }

    async fn transfer(
        &self,
        runtime: &Arc<dyn Runtime>,
        store: &Arc<dyn Store>,
    ) -> Result<Receipt, TransferError> {
        let server = SocketAddr::new(SERVER, DEFAULT_PORT);
        let mut config = ClientConfig::default();
        // The same key in every attempt: a server resumes a put only for the client that began it.
        config.transport.identity = Some(Identity::from_secret(keys::CLIENT));
        config.connect_data_early = true;
        let mut client = Client::connect(Arc::clone(runtime), server, config).await?;
        let name = Name::parse(FILE).expect("an ordinary name");
        match self.plan.operation {
            Operation::Put => {
                let source = store.open(&name)?;
                client.put(source, FILE, true, &()).await
            }
            Operation::Get => {
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
        // The first result counts: a property that is violated after a crash is not undone by a
        // later success.
        result.get_or_insert(end);
        self.done.notify_one();
    }
}
