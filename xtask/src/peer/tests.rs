//! The peers deliver files intact and deterministically, and report failures.

use super::*;
use crate::record::Detail;
use crate::rows::Summary;
use crate::run::{Clock, Tap};
use crate::scenario;

fn summary(peer: &str, scenario: &str, changes: &[&str]) -> Summary {
    let Some(Peer::Foreign(foreign)) = Peer::named(peer) else {
        panic!("{peer} is no foreign peer");
    };
    let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
    let plan = Plan {
        scenario: scenario::load(scenario, &changes).expect("a scenario"),
        seed: 1,
        clock: Clock::Virtual,
        detail: Detail::Summary,
        file: None,
        tap: Tap::default(),
    };
    run(&plan, foreign).expect("a run").summary
}

const SMALL: &str = "transfer.size=1MiB";

#[test]
fn every_peer_delivers_its_file_intact_through_losses() {
    for name in Peer::all(Clock::Virtual) {
        if matches!(Peer::named(&name), Some(Peer::Foreign(_))) {
            for way in ["transfer.way=put", "transfer.way=get"] {
                let run = summary(&name, "lossy-1pct", &[SMALL, way]);
                assert!(run.intact, "{name}, {way}: {:?}", run.failure);
                assert!(run.packets_lost_on_link > 0 && run.packets_sent > 0);
                let ratio = run.efficiency_ratio.expect("a rate");
                assert!(0.0 < ratio && ratio <= 1.0, "{name}, {way}: {ratio}");
            }
        }
    }
}

#[test]
fn a_seed_gives_the_same_packets_again() {
    for name in [
        "quinn-cubic",
        "quinn-newreno",
        "quinn-bbr",
        "quinn-bbr-default",
        "s2n-cubic",
        "s2n-bbr",
        "kcp",
    ] {
        let once = summary(name, "lossy-10pct", &[SMALL]);
        assert_eq!(once, summary(name, "lossy-10pct", &[SMALL]), "{name}");
    }
}

#[test]
fn a_hopeless_network_ends_as_not_finished() {
    for name in ["quinn-cubic", "quinn-bbr", "s2n-bbr", "kcp"] {
        let run = summary(
            name,
            "lossy-1pct",
            &[SMALL, "network.loss=100%", "limits.time=5s"],
        );
        assert!(!run.intact, "{name}");
        assert_eq!(run.failure.as_deref(), Some("not finished within 5 s"));
        assert_eq!(run.goodput_bps, 0);
    }
}

#[test]
fn several_flows_share_the_link() {
    for name in ["quinn-cubic", "s2n-cubic", "kcp"] {
        let run = summary(name, "shared-link", &[SMALL]);
        assert!(run.intact, "{name}: {:?}", run.failure);
        assert!(run.flows > 1);
    }
}
