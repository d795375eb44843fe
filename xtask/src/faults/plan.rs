//! The plan of a run: its network, file and faults, derived from the seed.

use std::time::Duration;

use lftp_ftp::BLOCK_BYTES;
use lftp_netem::profile::NetworkProfile;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::scenario::Operation;

/// Time after which no more faults are injected; from then on a transfer has to finish.
pub(super) const CLEAR_AFTER: Duration = Duration::from_secs(240);

/// Bytes of a malicious client's file, at most.
pub(super) const ROGUE_BYTES: u64 = 100_000;

/// The faults and their times.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) network: NetworkProfile,
    pub(super) operation: Operation,
    /// Bytes of the file.
    pub(super) size: usize,
    /// True if the receiver already has a file of that name.
    pub(super) replaces: bool,
    /// True if files are flushed to the disk before they are renamed.
    pub(super) durable: bool,
    pub(super) server: MachinePlan,
    pub(super) client: MachinePlan,
    /// Times at which the client changes its address.
    pub(super) roams: Vec<Duration>,
    /// Times at which the file is replaced by a newer one.
    pub(super) replacements: Vec<Duration>,
    /// Times at which bytes of the file are overwritten where they are.
    pub(super) edits: Vec<Duration>,
    /// Datagrams in a thousand to which the attacker on the path adds one of its own.
    pub(super) attack_per_mille: u32,
    /// Malicious clients.
    pub(super) rogues: usize,
    /// The server admits listed keys only.
    pub(super) keyed: bool,
    /// Bytes that the server's files may have together.
    pub(super) quota_bytes: Option<u64>,
}

/// The faults of one machine.
#[derive(Clone, Debug)]
pub(super) struct MachinePlan {
    pub(super) crashes: Vec<Crash>,
    pub(super) disk: Vec<DiskFault>,
}

/// The end of a machine's run; the next run starts after it.
#[derive(Clone, Debug)]
pub(super) struct Crash {
    pub(super) when: When,
    /// Unflushed data is lost as well as the process.
    pub(super) power: bool,
    /// Time until it starts again.
    pub(super) down: Duration,
    pub(super) meanwhile: Meanwhile,
}

/// Changes of the files of a machine between two of its runs.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Meanwhile {
    /// Bytes of the sender's file are overwritten.
    pub(super) edit: Option<Edit>,
    /// Bytes of partial files and journals change by themselves.
    pub(super) rot: bool,
    /// All files get another inode, as on a disk that was mounted again or copied.
    pub(super) remount: bool,
}

/// A change of the sender's file between two runs.
#[derive(Copy, Clone, Debug)]
pub(super) enum Edit {
    /// With a later modification time.
    Dated,
    /// With the old modification time put back.
    Undated,
}

/// A time in a machine's run.
#[derive(Copy, Clone, Debug)]
pub(super) enum When {
    /// Before this step on the disk.
    Step(u64),
    /// This long after its start.
    After(Duration),
}

/// A disk that fails for a while, counted in steps over all runs of its machine.
#[derive(Copy, Clone, Debug)]
pub(super) struct DiskFault {
    pub(super) from: u64,
    pub(super) steps: u64,
    pub(super) kind: DiskFaultKind,
}

/// A kind of disk fault.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum DiskFaultKind {
    /// The disk is full.
    Full,
    /// The device fails.
    Io,
    /// The device fails to flush.
    Sync,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let operation = if rng.random() {
            Operation::Put
        } else {
            Operation::Get
        };
        // Sizes round the block, where the protocol's cases meet; none so large that a seed takes
        // seconds.
        let block = usize::try_from(BLOCK_BYTES).unwrap_or(usize::MAX);
        let size = match rng.random_range(0..10) {
            0 => rng.random_range(0..3),
            1..4 => rng.random_range(0..100_000),
            4 => rng.random_range(100_000..=block),
            // Off-by-one errors show at whole blocks, give or take a byte.
            5 => block * rng.random_range(1..4) + rng.random_range(0..3) - 1,
            _ => rng.random_range(block + 1..4 * block),
        };
        let durable = rng.random_ratio(3, 4);
        let network = network(rng, size);
        let server = MachinePlan::new(rng, durable);
        let client = MachinePlan::new(rng, durable);
        let mut times = |most: usize, end: u64| -> Vec<Duration> {
            let count = rng.random_range(0..=most);
            let mut times: Vec<_> = (0..count)
                .map(|_| Duration::from_millis(rng.random_range(0..end)))
                .collect();
            times.sort_unstable();
            times
        };
        let (roams, replacements) = (times(3, 8_000), times(1, 15_000));
        let mut plan = Self {
            seed,
            network,
            operation,
            size,
            replaces: rng.random(),
            durable,
            server,
            client,
            roams,
            replacements,
            edits: Vec::new(),
            attack_per_mille: if rng.random() {
                rng.random_range(0..100)
            } else {
                0
            },
            rogues: rng.random_range(0..3),
            keyed: false,
            quota_bytes: None,
        };
        plan.change_files();
        plan.admit_keys();
        plan
    }

    /// Decides who is admitted, and how much fits.
    fn admit_keys(&mut self) {
        let rng = &mut ChaCha8Rng::seed_from_u64(self.seed ^ 0x4e15);
        self.keyed = rng.random();
        if self.keyed {
            self.rogues = rng.random_range(0..4);
        }
        // The file, what an earlier version of it left, and what malicious clients leave: as long
        // as they are at it, there may be no room.
        let most = 2 * self.size as u64 + 2 * ROGUE_BYTES + 50_000;
        self.quota_bytes = (self.keyed && rng.random()).then_some(most);
    }

    /// Adds the changes of files. They have a stream of their own, so that a seed keeps the faults
    /// that it had before these existed.
    fn change_files(&mut self) {
        let rng = &mut ChaCha8Rng::seed_from_u64(self.seed ^ 0xed17);
        if rng.random_ratio(1, 4) {
            let edits = rng.random_range(1..=2);
            self.edits = (0..edits)
                .map(|_| Duration::from_millis(rng.random_range(0..15_000)))
                .collect();
            self.edits.sort_unstable();
        }
        let (sender, receiver) = match self.operation {
            Operation::Put => (&mut self.client, &mut self.server),
            Operation::Get => (&mut self.server, &mut self.client),
        };
        for crash in &mut sender.crashes {
            crash.meanwhile.edit = match rng.random_range(0..6) {
                0 => Some(Edit::Dated),
                1 => Some(Edit::Undated),
                _ => None,
            };
        }
        for crash in &mut receiver.crashes {
            crash.meanwhile.rot = rng.random_ratio(1, 3);
        }
        for crash in sender.crashes.iter_mut().chain(&mut receiver.crashes) {
            crash.meanwhile.remount = rng.random_ratio(1, 4);
        }
    }
}

impl MachinePlan {
    fn new(rng: &mut ChaCha8Rng, durable: bool) -> Self {
        let crashes = (0..rng.random_range(0..4))
            .map(|_| Crash {
                when: if rng.random() {
                    When::Step(rng.random_range(0..60))
                } else {
                    // Uniform in the exponent: as many crashes within the first 10 ms as within
                    // seconds.
                    let most = 10_u64.pow(rng.random_range(1..5));
                    When::After(Duration::from_millis(rng.random_range(1..most)))
                },
                // Without flushes a loss of power may lose anything: nothing could be required of the run.
                power: durable && rng.random(),
                down: Duration::from_millis(rng.random_range(0..20_000)),
                meanwhile: Meanwhile::default(),
            })
            .collect();
        let disk = (0..rng.random_range(0..3))
            .map(|_| {
                let (kind, most) = match rng.random_range(0..3) {
                    // A full disk stays full for a while, a device's error is a single one, and a
                    // failing flush fails again.
                    0 => (DiskFaultKind::Full, 30),
                    1 => (DiskFaultKind::Io, 1),
                    _ => (DiskFaultKind::Sync, 20),
                };
                DiskFault {
                    from: rng.random_range(0..150),
                    steps: rng.random_range(1..=most),
                    kind,
                }
            })
            .collect();
        Self { crashes, disk }
    }
}

/// The worst network over which the file can still be transferred within a minute.
fn network(rng: &mut ChaCha8Rng, size: usize) -> NetworkProfile {
    let slowest = (size / 200_000).max(1) as u64;
    let tenths = |n: u32| format!("\"{}.{}%\"", n / 10, n % 10);
    let mut text = format!(
        "rate = \"{}mbit\"\ndelay = \"{}ms\"\njitter = \"{}ms\"\n",
        rng.random_range(slowest..slowest + 200),
        rng.random_range(0..100),
        rng.random_range(0..20),
    );
    let mut percent = |key: &str, most: u32| {
        if rng.random() {
            let share = tenths(rng.random_range(0..=most * 10));
            text.push_str(&format!("{key} = {share}\n"));
        }
    };
    percent("loss", 20);
    percent("duplicate", 20);
    percent("corrupt", 10);
    if rng.random() {
        let share = tenths(rng.random_range(0..300));
        let delay = rng.random_range(1..100);
        text.push_str(&format!(
            "reorder = {{ probability = {share}, delay = \"{delay}ms\" }}\n"
        ));
    }
    if rng.random() {
        let start = rng.random_range(1..4_000);
        let end = start + rng.random_range(1..20_000);
        text.push_str(&format!(
            "schedule = [{{ at = \"{start}ms\", blackout_until = \"{end}ms\" }}]\n"
        ));
    }
    NetworkProfile::from_toml_str(&text).expect("a valid network")
}
