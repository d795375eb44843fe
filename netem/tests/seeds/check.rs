//! What the fuzz target `network` does; the target itself is in `fuzz/fuzz_targets`.

use std::net::SocketAddr;

use lftp_netem::Time;
use lftp_netem::packet::Packet;
use lftp_netem::profile::{DirectionSettings, NetworkProfile};
use lftp_netem::tape::Tape;
use lftp_netem::{Direction, link::Link};

const MOST_STEPS: usize = 1_000;

/// Reads any text as a tape, as a line for `tc` and as a `[network]` table; whether it is one of
/// them. Packets go through the link that comes of it.
pub(crate) fn understands(text: &str) -> bool {
    let tape = text.parse::<Tape>();
    if let Ok(tape) = &tape {
        let again: Tape = tape.to_string().parse().expect("a tape reads itself");
        assert_eq!(&again, tape);
    }
    let profile = NetworkProfile::from_toml_str(text);
    if let Ok(profile) = &profile {
        carry(profile);
    }
    tape.is_ok() || profile.is_ok() || DirectionSettings::from_tc(text).is_ok()
}

fn carry(profile: &NetworkProfile) {
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
