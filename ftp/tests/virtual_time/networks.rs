//! The same transfer over a thousand networks, each bad in a way of its own.

use std::time::Duration;

use lftp_ftp::Client;
use lftp_netem::Direction;
use lftp_netem::Time;
use lftp_netem::profile::NetworkProfile;
use lftp_netem::world::WorldConfig;
use lftp_transport::{VirtualRuntime, timeout};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::fixture::{Operation, noise, single_transfer};

/// Networks of the property below; `LFTP_SEEDS` asks for more.
const SEEDS: u64 = 1_000;

/// The longest that a transfer may take, in virtual time.
const LIMIT: Duration = Duration::from_secs(600);

/// A network and a transfer over it.
#[derive(Debug)]
struct Case {
    /// A scenario's `[network]` table.
    network: String,
    bytes: usize,
    operation: Operation,
}

impl Case {
    fn random(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut percent = |most: u32| rng.random_range(0..=most * 10);
        let tenths = |n: u32| format!("{}.{}%", n / 10, n % 10);
        let mut lines = vec![
            format!("loss = \"{}\"", tenths(percent(40))),
            format!("duplicate = \"{}\"", tenths(percent(20))),
            format!("corrupt = \"{}\"", tenths(percent(10))),
        ];
        let late = tenths(percent(30));
        let late_ms = rng.random_range(1..100);
        lines.push(format!(
            r#"reorder = {{ probability = "{late}", delay = "{late_ms}ms" }}"#
        ));
        lines.push(format!("rate = \"{}mbit\"", rng.random_range(5..200)));
        lines.push(format!("delay = \"{}ms\"", rng.random_range(0..150)));
        lines.push(format!("jitter = \"{}ms\"", rng.random_range(0..20)));
        let bytes = rng.random_range(1..400_000);
        let operation = if rng.random() {
            Operation::Put
        } else {
            Operation::Get
        };
        let begin = rng.random_range(100..3_000);
        let end = begin + rng.random_range(1..8_000);
        lines.push(format!(
            r#"schedule = [{{ at = "{begin}ms", blackout_until = "{end}ms" }}]"#
        ));
        Self {
            network: lines.join("\n"),
            bytes,
            operation,
        }
    }

    /// Transfers the file, which panics unless it arrives byte for byte.
    fn run(&self, seed: u64) {
        let network = NetworkProfile::from_toml_str(&self.network).expect("a valid network");
        let mut world = WorldConfig::new(&network, seed);
        world.time_limit = Time::from_nanos(2 * LIMIT.as_nanos() as u64);
        if matches!(self.operation, Operation::Get) {
            world.links.client_to_server = Direction::Reverse;
        }
        let (mut fixture, config) = single_transfer(&world);
        let (runtime, addr) = (VirtualRuntime::new(fixture.client.clone()), fixture.addr);
        let (files, contents) = (fixture.files.clone(), noise(0, self.bytes));
        let transfer = async move {
            let connecting = Client::connect(runtime.clone(), addr, config);
            let within_limit = timeout(&*runtime, LIMIT, async {
                let mut client = connecting.await.expect("a server that answers");
                self.operation.run(&mut client, &files, &contents).await;
                client.close().await;
            });
            within_limit.await.expect("an end within the limit");
        };
        fixture.world.block_on(transfer).expect("no deadlock");
    }
}

#[test]
fn the_file_arrives_whole_over_a_thousand_bad_networks() {
    let asked = |name| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse().expect("a number"))
    };
    let seeds = match asked("LFTP_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("LFTP_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let case = Case::random(seed);
        let run = std::panic::AssertUnwindSafe(|| case.run(seed));
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("{case:?}\nto repeat it alone, set LFTP_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
