//! A machine that crashes, at any time or between two steps on its disk, and restarts.

use std::fs::File;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lftp_ftp::store::{Faults, Step};
use lftp_ftp::{BLOCK_BYTES, DirStore, Store};
use lftp_netem::world::Host;
use tokio::sync::Notify;

use super::count::Count;
use super::disk::Disk;
use super::plan::{Crash, When};

/// A host, and the folder on its disk.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) name: &'static str,
    pub(super) host: Host,
    pub(super) disk: Arc<Disk>,
    pub(super) folder: Arc<Path>,
    pub(super) durable: bool,
    pub(super) count: Count,
}

/// One run of a machine: its steps on the disk until it crashes.
#[derive(Debug)]
struct Process {
    machine: Machine,
    steps: AtomicU64,
    crash_at: Option<u64>,
    is_dead: AtomicBool,
    crashed: Notify,
}

impl Machine {
    /// Starts the machine's program, and again after every crash. Returns after the last crash,
    /// while the program keeps running.
    pub(super) async fn run(
        self,
        clock: Host,
        crashes: Vec<Crash>,
        faults_have_ended: impl Fn() -> bool,
        start: impl Fn(Arc<dyn Store>),
        after_crash: impl Fn(&Crash),
    ) {
        let mut crashes = crashes.into_iter();
        loop {
            // Crashes that are still planned are dropped when the faults end: the transfer has to
            // finish now.
            let crash = crashes.next().filter(|_| !faults_have_ended());
            let process = Arc::new(Process::new(&self, crash.as_ref()));
            start(self.store(&process));
            let Some(crash) = crash else {
                return;
            };
            match crash.when {
                When::Step(_) => process.crashed.notified().await,
                When::After(time) => {
                    // On the clock of a host that never crashes: a timer of the machine's own would
                    // end with it.
                    sleep(&clock, time).await;
                    process.crash();
                }
            }
            let lost = if crash.power {
                self.disk.lose_power()
            } else {
                self.disk.keep_all()
            };
            lost.expect("the folder under the disk does not fail");
            // After the crash and before the restart, when no process hides what is on the disk.
            after_crash(&crash);
            sleep(&clock, crash.down).await;
            self.host.restart();
        }
    }

    fn store(&self, process: &Arc<Process>) -> Arc<dyn Store> {
        let store = DirStore::open(&self.folder).expect("the folder is there");
        // As the programs do at their start; nothing fails before the first client.
        store.sweep().expect("the folder can be read");
        let store = store
            .durable(self.durable)
            .flush_every(BLOCK_BYTES)
            .with_faults(Arc::clone(process) as Arc<dyn Faults>);
        Arc::new(store)
    }
}

/// Sleeps on a host's clock.
pub(super) fn sleep(clock: &Host, time: Duration) -> impl Future<Output = ()> + use<> {
    clock.sleep_ns(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

impl Process {
    fn new(machine: &Machine, crash: Option<&Crash>) -> Self {
        let crash_at = crash.and_then(|crash| match crash.when {
            When::Step(step) => Some(step),
            When::After(_) => None,
        });
        Self {
            machine: machine.clone(),
            steps: AtomicU64::new(0),
            crash_at,
            is_dead: AtomicBool::new(false),
            crashed: Notify::new(),
        }
    }

    fn crash(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
        self.machine.host.kill();
        let what = match self.crash_at {
            Some(_) => "between two steps on its disk",
            None => "at any time",
        };
        let name = self.machine.name;
        self.machine.count.one(&format!("crash: {name}, {what}"));
        self.crashed.notify_one();
    }
}

impl Faults for Process {
    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        // A blocking job of the killed host may still run: its steps must not reach the disk.
        if self.is_dead.load(Ordering::Relaxed) {
            return Err(io::Error::other("the machine is down"));
        }
        let at = self.steps.fetch_add(1, Ordering::Relaxed);
        if self.crash_at == Some(at) {
            self.crash();
            return Err(io::Error::other("the machine is down"));
        }
        self.machine.disk.before(step)
    }

    fn write(&self, file: &File, offset: u64, bytes: usize) -> io::Result<usize> {
        self.machine.disk.write(file, offset, bytes)
    }

    fn synced(&self, file: &File) {
        self.machine.disk.synced(file);
    }
}
