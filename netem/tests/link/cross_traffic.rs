//! Traffic of others through the same bottleneck.

use lftp_netem::{link::Link, profile::NetworkProfile};

use super::{at, drain, link, packet, seeded};

const SECOND: u64 = 1_000_000_000;

/// Returns the packets of 1,000 bytes that come out of a 10 Mbit/s link in that many seconds when it
/// is sent as many as it can deliver alone.
fn delivered(link: &mut Link, seconds: u64) -> u64 {
    let mut out = Vec::new();
    for number in 0..seconds * 1250 {
        let now = at(number * 800_000);
        drain(link, now, &mut out);
        link.push(now, packet(number, 1000));
    }
    link.counters().delivered
}

#[test]
fn a_flow_gets_what_cross_traffic_leaves() {
    let mut alone = link("rate = '10mbit'\nqueue = '20p'");
    let alone = delivered(&mut alone, 20);
    for spacing in ["even", "poisson"] {
        let mut link = link(&format!(
            "rate = '10mbit'\nqueue = '20p'\n\
             cross_traffic = {{ rate = '4mbit', packet = '500B', spacing = '{spacing}' }}"
        ));
        let share = delivered(&mut link, 20) as f64 / alone as f64;
        let counters = link.counters();
        let sent = counters.cross_sent + counters.cross_drops;
        // A thousand of them a second.
        assert!((19_400..20_600).contains(&sent), "{spacing}: {sent}");
        // Fourteen come where ten fit, and the link is never idle.
        assert!((0.6..0.9).contains(&share), "{spacing}: {share}");
        let bits = 8 * (1000 * counters.delivered + 500 * counters.cross_sent);
        let used = bits as f64 / 200e6;
        assert!((0.99..=1.0).contains(&used), "{spacing}: {used}");
        assert!(counters.cross_drops > 1_000, "{spacing}: {counters:?}");
        assert_eq!(counters.packets_in, 25_000);
    }
}

#[test]
fn it_sends_what_is_asked_on_average_and_is_silent_between() {
    let text = "rate = '100mbit'\n\
         cross_traffic = { rate = '20mbit', on = '50ms', off = '150ms' }";
    let mut link = link(text);
    let seconds = 400;
    let mut busy = 0;
    for tenth in 1..=10 * seconds {
        let before = link.counters().cross_sent;
        assert!(link.pop(at(tenth * SECOND / 10)).is_none());
        busy += u64::from(link.counters().cross_sent > before);
    }
    // A quarter of 20 Mbit/s, in packets of 1,500 bytes.
    let expected = seconds as f64 * 5e6 / 12_000.0;
    let sent = link.counters().cross_sent as f64;
    assert!((0.9..1.1).contains(&(sent / expected)), "{sent}");
    assert!(
        (1_500..3_000).contains(&busy),
        "{busy} tenths of {seconds} s"
    );
    let profile = NetworkProfile::from_toml_str(text).unwrap();
    let alone = NetworkProfile::from_toml_str("rate = '100mbit'").unwrap();
    let left = |profile: &NetworkProfile| profile.achievable_bps(10 * SECOND).unwrap() as f64;
    assert!((0.949..0.951).contains(&(left(&profile) / left(&alone))));
}

#[test]
fn it_comes_at_its_own_times_whoever_sends_and_however_late_the_link_is_called() {
    let text = "rate = '10mbit'\ncross_traffic = { rate = '6mbit', on = '20ms', off = '20ms' }";
    let mut often = seeded(text, 3);
    for ms in 0..5_000 {
        assert!(often.pop(at(ms * 1_000_000)).is_none());
    }
    let mut once = seeded(text, 3);
    assert!(once.pop(at(4_999_000_000)).is_none());
    assert_eq!(often.counters(), once.counters());
    // A packet or two more do not shift it.
    let mut other = seeded(text, 3);
    other.push(at(7_000_000), packet(1, 1500));
    other.push(at(9_000_000), packet(2, 1500));
    drain(&mut other, at(SECOND), &mut Vec::new());
    assert!(other.pop(at(4_999_000_000)).is_none());
    let all = |link: &Link| link.counters().cross_sent + link.counters().cross_drops;
    assert_eq!(all(&other), all(&once));
    assert_ne!(all(&seeded_after(text, 4)), all(&once));
}

fn seeded_after(text: &str, seed: u64) -> Link {
    let mut link = seeded(text, seed);
    assert!(link.pop(at(4_999_000_000)).is_none());
    link
}

#[test]
fn it_starts_and_stops_when_it_is_told_to() {
    let mut link = link(
        "rate = '100mbit'\n\
         cross_traffic = { rate = '12mbit', spacing = 'even', start = '1s', stop = '3s' }",
    );
    let mut sent = |second: u64| {
        assert!(link.pop(at(second * SECOND)).is_none());
        link.counters().cross_sent
    };
    assert_eq!(sent(1), 0);
    let (two, three, nine) = (sent(2), sent(3), sent(9));
    assert!((999..=1000).contains(&two), "{two}");
    assert!((1998..=2000).contains(&three), "{three}");
    assert!(nine - three <= 1, "{nine}");
}

#[test]
fn it_wakes_no_driver() {
    let mut link = link("rate = '10mbit'\ncross_traffic = { rate = '20mbit' }");
    assert!(link.pop(at(SECOND)).is_none());
    assert!(link.queue_bytes() > 0);
    assert_eq!(link.next_wakeup(), None);
}

#[test]
fn impossible_cross_traffic_is_refused() {
    for (text, words) in [
        ("cross_traffic = { rate = '1mbit' }", "needs a rate"),
        (
            "rate = '1mbit'\ncross_traffic = { rate = '1mbit', packet = '20B' }",
            "28B",
        ),
        (
            "rate = '1mbit'\ncross_traffic = { rate = '1mbit', packet = '2KiB' }",
            "larger than the mtu",
        ),
        (
            "rate = '1mbit'\ncross_traffic = { rate = '1mbit', on = '1s' }",
            "given together",
        ),
        (
            "rate = '1mbit'\ncross_traffic = { rate = '1mbit', on = '1us', off = '1s' }",
            "too short for a packet",
        ),
        (
            "rate = '1mbit'\ncross_traffic = { rate = '1tbit', packet = '28B' }",
            "ten million",
        ),
        (
            "rate = '1mbit'\ncross_traffic = { rate = '1mbit', start = '2s', stop = '1s' }",
            "after start",
        ),
    ] {
        let refused = NetworkProfile::from_toml_str(text).expect_err(text);
        assert!(refused.to_string().contains(words), "{text}: {refused}");
    }
}
