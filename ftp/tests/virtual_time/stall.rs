//! A stall that random loss once caused: it lasts no longer than it did.

use lftp_ftp::Client;
use lftp_netem::Direction;
use lftp_netem::profile::NetworkProfile;
use lftp_netem::world::WorldConfig;
use lftp_transport::VirtualRuntime;

use super::fixture::{Operation, noise, single_transfer};

/// The loss trace of the stall, shrunk.
const ANSWER_LOST: &str = include_str!("../../../scenarios/recordings/answer-lost-four-times.csv");

/// Nanoseconds from the connection to the confirmation of 256 KiB over 20 Mbit/s and 40 ms, and
/// the packets lost on the links otherwise than by a full queue.
fn duration_and_losses(trace: Option<&str>) -> (u64, u64) {
    let network = NetworkProfile::from_toml_str("rate = '20mbit'\ndelay = '20ms'");
    let world = WorldConfig::new(&network.expect("a valid network"), 1);
    let (mut fixture, config) = single_transfer(&world);
    if let Some(trace) = trace {
        let trace = trace.parse().expect("a loss trace");
        fixture.world.links().replay(&trace);
    }
    let (runtime, addr) = (VirtualRuntime::new(fixture.client.clone()), fixture.addr);
    let (files, contents) = (fixture.files.clone(), noise(0, 256 << 10));
    let client = fixture.world.block_on(async move {
        let mut client = Client::connect(runtime, addr, config)
            .await
            .expect("a server that answers");
        Operation::Put.run(&mut client, &files, &contents).await;
        client
    });
    let client = client.expect("no deadlock");
    let duration_ns = fixture.world.now().as_nanos();
    let closed = fixture.world.block_on(client.close());
    closed.expect("no deadlock");
    let lost = |direction| {
        let counters = fixture.world.links().counters(direction);
        counters.lost() - counters.queue_drops - counters.early_drops
    };
    (
        duration_ns,
        lost(Direction::Forward) + lost(Direction::Reverse),
    )
}

#[test]
fn eight_losses_around_the_answer_delay_a_transfer_by_four_seconds_at_most() {
    let (free_ns, free_lost) = duration_and_losses(None);
    let (stalled_ns, stalled_lost) = duration_and_losses(Some(ANSWER_LOST));
    assert_eq!((free_lost, stalled_lost), (0, 8));
    let delay_ns = stalled_ns - free_ns;
    assert!(delay_ns < 4_000_000_000, "{delay_ns} ns");
}
