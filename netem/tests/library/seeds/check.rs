//! The body of the fuzz target `network`; the target itself is in `fuzz/fuzz_targets`.

use std::net::SocketAddr;

use lftp_netem::Time;
use lftp_netem::packet::Packet;
use lftp_netem::profile::{DirectionSettings, NetworkProfile};
use lftp_netem::recording::Recording;
use lftp_netem::{Direction, link::Link};

const MOST_STEPS: usize = 1_000;

/// Parses any text as a recording, as a line for `tc` and as a `[network]` table; returns whether it
/// is one of them. Packets go through the link of such a table.
pub(crate) fn parses(text: &str) -> bool {
    let recording = text.parse::<Recording>();
    if let Ok(recording) = &recording {
        let again: Recording = recording
            .to_string()
            .parse()
            .expect("a recording parses its own text");
        assert_eq!(&again, recording);
    }
    let profile = NetworkProfile::from_toml_str(text);
    if let Ok(profile) = &profile {
        send_through(profile);
    }
    recording.is_ok() || profile.is_ok() || DirectionSettings::from_tc(text).is_ok()
}

fn send_through(profile: &NetworkProfile) {
    let address = |side: u8| SocketAddr::from(([10, 0, 0, side], 1));
    let mut link = Link::new(&profile.forward(), 1, Direction::Forward);
    for number in 0..20_u8 {
        let payload = vec![number; 1 + usize::from(number) * 70];
        let packet = Packet::new(address(1), address(2), number, payload);
        link.push(Time::from_nanos(u64::from(number) * 1_000), packet);
    }
    let mut now = Time::from_nanos(20_000);
    for _ in 0..MOST_STEPS {
        while link.pop(now).is_some() {}
        let Some(next) = link.next_wakeup() else {
            break;
        };
        assert!(next > now, "stands still at {now:?}");
        now = next;
    }
}
