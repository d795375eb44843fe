//! What a seed makes of a run.

use std::time::Duration;

use lftp_ftp::BLOCK_BYTES;
use lftp_netem::profile::NetworkProfile;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::scenario::Way;

/// Nothing goes wrong any more from here on: whoever has not finished by then has no excuse.
pub(super) const CLEAR_AFTER: Duration = Duration::from_secs(240);

/// What goes wrong, and when.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) network: NetworkProfile,
    pub(super) way: Way,
    /// Bytes of the file.
    pub(super) size: usize,
    /// Whether a file of that name is there already.
    pub(super) replaces: bool,
    /// Whether files are on the disk when they get their names.
    pub(super) durable: bool,
    pub(super) server: MachinePlan,
    pub(super) client: MachinePlan,
    /// The client comes from another address.
    pub(super) roams: Vec<Duration>,
    /// The file is replaced by a newer one.
    pub(super) replacements: Vec<Duration>,
    /// Of a thousand datagrams, how many the attacker on the path answers with one of his own.
    pub(super) meddling: u32,
    /// Clients that do not mean well.
    pub(super) rogues: usize,
}

/// What goes wrong on one machine.
#[derive(Clone, Debug)]
pub(super) struct MachinePlan {
    pub(super) crashes: Vec<Crash>,
    pub(super) disk: Vec<DiskFault>,
}

/// The end of a machine's run; the next run begins behind it.
#[derive(Clone, Debug)]
pub(super) struct Crash {
    pub(super) when: When,
    /// What was not waited for is lost as well, not only the process.
    pub(super) power: bool,
    pub(super) down: Duration,
}

/// A moment of a machine's run.
#[derive(Copy, Clone, Debug)]
pub(super) enum When {
    /// Before this step on the disk.
    Step(u64),
    /// So long after it came up.
    After(Duration),
}

/// A disk that fails for a while, counted in steps over all runs of its machine.
#[derive(Copy, Clone, Debug)]
pub(super) struct DiskFault {
    pub(super) from: u64,
    pub(super) steps: u64,
    pub(super) kind: DiskFaultKind,
}

/// How a disk fails.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum DiskFaultKind {
    /// There is no room, until there is again.
    Full,
    /// The device fails.
    Io,
    /// The device fails when it is waited for.
    Sync,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let way = if rng.random() { Way::Put } else { Way::Get };
        let block = usize::try_from(BLOCK_BYTES).unwrap_or(usize::MAX);
        let size = match rng.random_range(0..10) {
            0 => rng.random_range(0..3),
            1..4 => rng.random_range(0..100_000),
            4 => rng.random_range(100_000..=block),
            // Whole blocks, and a byte more or less, are where one counts wrong.
            5 => block * rng.random_range(1..4) + rng.random_range(0..3) - 1,
            _ => rng.random_range(block + 1..4 * block),
        };
        let durable = rng.random_ratio(3, 4);
        let network = network(rng, size);
        let server = MachinePlan::new(rng, durable);
        let client = MachinePlan::new(rng, durable);
        let mut moments = |most: usize, end: u64| -> Vec<Duration> {
            let count = rng.random_range(0..=most);
            let mut moments: Vec<_> = (0..count)
                .map(|_| Duration::from_millis(rng.random_range(0..end)))
                .collect();
            moments.sort_unstable();
            moments
        };
        let (roams, replacements) = (moments(3, 8_000), moments(1, 15_000));
        Self {
            seed,
            network,
            way,
            size,
            replaces: rng.random(),
            durable,
            server,
            client,
            roams,
            replacements,
            meddling: if rng.random() {
                rng.random_range(0..100)
            } else {
                0
            },
            rogues: rng.random_range(0..3),
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
                    let most = 10_u64.pow(rng.random_range(1..5));
                    When::After(Duration::from_millis(rng.random_range(1..most)))
                },
                // Who does not wait for the disk has chosen not to survive this.
                power: durable && rng.random(),
                down: Duration::from_millis(rng.random_range(0..20_000)),
            })
            .collect();
        let disk = (0..rng.random_range(0..3))
            .map(|_| {
                let (kind, most) = match rng.random_range(0..3) {
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

/// A network as bad as can be, over which the file can still pass in a minute.
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
        let begin = rng.random_range(1..4_000);
        let end = begin + rng.random_range(1..20_000);
        text.push_str(&format!(
            "schedule = [{{ at = \"{begin}ms\", blackout_until = \"{end}ms\" }}]\n"
        ));
    }
    NetworkProfile::from_toml_str(&text).expect("a sound network")
}
