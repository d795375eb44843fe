//! Queue disciplines: what is dropped, what is marked, and how long the queue gets.

use lftp_netem::{
    Time,
    link::{Counters, Link},
    packet::Packet,
    profile::NetworkProfile,
    record::PacketOutcome,
};

use super::{at, drain, link, number, packet, records, run};

/// Packets of 1000 bytes at so many percent of 8 Mbit/s, and how long each stayed in the queue.
struct Load {
    link: Link,
    out: Vec<(Time, Packet)>,
    now: u64,
    pushed: u64,
}

impl Load {
    fn new(discipline: &str) -> Self {
        let network = format!("rate = '8mbit'\nqueue = '2000p'\ndiscipline = {discipline}");
        Self {
            link: link(&network),
            out: Vec::new(),
            now: 0,
            pushed: 0,
        }
    }

    fn offer(&mut self, percent: u64, seconds: u64, ecn: u8) -> Counters {
        let before = self.link.counters().clone();
        let until = self.now + seconds * 1_000_000_000;
        while self.now < until {
            drain(&mut self.link, at(self.now), &mut self.out);
            let sample = packet(self.pushed, 1000);
            let sample = Packet::new(sample.source, sample.destination, ecn, sample.payload);
            self.link.push(at(self.now), sample);
            self.pushed += 1;
            self.now += 100_000_000 / percent;
        }
        let mut since = self.link.counters().clone();
        since.early_drops -= before.early_drops;
        since.queue_drops -= before.queue_drops;
        since.ce_marked -= before.ce_marked;
        since.packets_in -= before.packets_in;
        since
    }

    fn queue_ms(&self) -> u64 {
        self.link.queue_bytes() / 1000
    }
}

#[test]
fn drop_head_drops_who_has_waited_longest_but_not_who_is_being_sent() {
    let network = "rate = '8mbit'\nqueue = '3p'\ndiscipline = 'drop-head'";
    let mut link = link(network);
    let out = run(&mut link, (0..6).map(|index| (at(0), packet(index, 1000))));
    let survivors: Vec<u64> = out.iter().map(|(_, packet)| number(packet)).collect();
    assert_eq!(survivors, [0, 4, 5]);
    let dropped = records(&mut link)
        .into_iter()
        .filter(|r| r.outcome == PacketOutcome::QueueDrop);
    assert_eq!(
        dropped.map(|record| record.index).collect::<Vec<_>>(),
        [1, 2, 3]
    );
}

#[test]
fn codel_leaves_a_short_queue_alone() {
    let mut load = Load::new("'codel'");
    assert_eq!(load.offer(95, 10, 0).early_drops, 0);
}

#[test]
fn codel_drops_ever_more_often_until_the_queue_is_short() {
    let mut load = Load::new("'codel'");
    // The first drop comes an interval after the target was passed.
    load.offer(110, 1, 0);
    let mut first: Vec<_> = records(&mut load.link)
        .into_iter()
        .filter(|record| record.outcome == PacketOutcome::EarlyDrop)
        .map(|record| record.departed_at.as_nanos())
        .collect();
    assert!(first.is_sorted() && first.len() > 2, "{first:?}");
    first.truncate(3);
    let gaps = [first[1] - first[0], first[2] - first[1]];
    // 100 ms, then 100 / sqrt(2), within the millisecond that a packet takes.
    assert!(gaps[0].abs_diff(100_000_000) <= 1_000_000, "{gaps:?}");
    assert!(gaps[1].abs_diff(70_710_678) <= 1_000_000, "{gaps:?}");
    load.offer(110, 20, 0);
    assert!(load.queue_ms() < 100, "{}", load.queue_ms());
}

#[test]
fn codel_marks_instead_where_it_can() {
    let mut load = Load::new("{ name = 'codel', ecn = true }");
    let capable = load.offer(110, 5, 2);
    assert!(
        capable.ce_marked > 5 && capable.early_drops == 0,
        "{capable:?}"
    );
    let mut load = Load::new("{ name = 'codel', ecn = true }");
    let incapable = load.offer(110, 5, 0);
    assert!(
        incapable.ce_marked == 0 && incapable.early_drops > 5,
        "{incapable:?}"
    );
}

#[test]
fn pie_holds_the_delay_near_its_target_under_overload() {
    for percent in [105, 110, 150] {
        let mut load = Load::new("'pie'");
        load.offer(percent, 60, 0);
        let excess = (percent - 100) as f64 / percent as f64;
        let steady = load.offer(percent, 30, 0);
        let share = steady.early_drops as f64 / steady.packets_in as f64;
        assert!(
            (share - excess).abs() < 0.02,
            "{percent}: {share} of {excess}"
        );
        assert!(
            (5..60).contains(&load.queue_ms()),
            "{percent}: {} ms",
            load.queue_ms()
        );
    }
}

#[test]
fn pie_lets_a_burst_pass_and_rests_when_there_is_nothing_to_do() {
    let mut load = Load::new("'pie'");
    load.offer(50, 1, 0);
    for _ in 0..100 {
        load.link.push(at(load.now), packet(0, 1000));
    }
    assert_eq!(load.link.counters().early_drops, 0);
    load.now += 3_600_000_000_000;
    assert_eq!(load.offer(50, 1, 0).early_drops, 0);
}

#[test]
fn pie_marks_only_while_it_is_mild() {
    let pie = "{ name = 'pie', ecn = true }";
    let mut load = Load::new(pie);
    // No sender reacts to the marks, so in the end it drops, but not before it has marked.
    load.offer(103, 4, 1);
    let records = records(&mut load.link);
    let marked = records
        .iter()
        .filter(|record| record.ce_marked)
        .map(|record| record.index);
    let dropped = records
        .iter()
        .filter(|record| record.outcome == PacketOutcome::EarlyDrop);
    let first_drop = dropped.map(|record| record.index).min().unwrap();
    assert!(marked.filter(|index| *index < first_drop).count() > 10);
    let mut load = Load::new(pie);
    load.offer(200, 60, 1);
    let harsh = load.offer(200, 10, 1);
    assert!(harsh.early_drops > harsh.ce_marked, "{harsh:?}");
}

const RED: &str = "name = 'red', min = '20kB', max = '60kB', probability = '10%'";

#[test]
fn red_drops_by_the_average_queue() {
    let mut load = Load::new(&format!("{{ {RED} }}"));
    assert_eq!(load.offer(99, 5, 0).early_drops, 0);
    // 5 % too much: dropped evenly, with an average between the two thresholds.
    load.offer(105, 30, 0);
    let steady = load.offer(105, 60, 0);
    let share = steady.early_drops as f64 / steady.packets_in as f64;
    assert!((share - 0.05 / 1.05).abs() < 0.005, "{share}");
    assert!((20..60).contains(&load.queue_ms()), "{}", load.queue_ms());
    // Past the upper one everything goes.
    let harsh = load.offer(400, 10, 0);
    assert!(
        harsh.early_drops as f64 > 0.7 * harsh.packets_in as f64,
        "{harsh:?}"
    );
}

#[test]
fn red_marks_where_it_can_and_forgets_in_an_idle_time() {
    let mut load = Load::new(&format!("{{ {RED}, ecn = true }}"));
    let marked = load.offer(105, 30, 2);
    assert!(
        marked.ce_marked > 20 && marked.early_drops == 0,
        "{marked:?}"
    );
    let mut load = Load::new(&format!("{{ {RED}, ecn = true }}"));
    load.offer(105, 10, 0);
    load.now += 10_000_000_000;
    assert_eq!(load.offer(90, 1, 0).early_drops, 0);
}

#[test]
fn a_discipline_survives_being_written_and_says_what_it_wants() {
    let read = |discipline: &str| {
        NetworkProfile::from_toml_str(&format!("rate = '1mbit'\ndiscipline = {discipline}"))
    };
    for discipline in [
        "'drop-head'",
        "'codel'",
        "'pie'",
        "{ name = 'pie', target = '5ms' }",
        "'fq-codel'",
        "{ name = 'fq-codel', quantum = '300B', flows = 16, ce_threshold = '1ms', ecn = false }",
        "'dualpi2'",
        "{ name = 'dualpi2', alpha = '0.5Hz', classic_share = '20%', coupling = 3 }",
    ] {
        let first = read(discipline).unwrap();
        let written = toml::to_string(&first).unwrap();
        assert_eq!(
            NetworkProfile::from_toml_str(&written).unwrap(),
            first,
            "{written}"
        );
    }
    for (discipline, words) in [
        ("'blue'", "drop-tail"),
        ("'red'", "min"),
        ("5", "queue discipline"),
        ("{ name = 'codel', goal = '5ms' }", "unknown field `goal`"),
        ("{ name = 'codel', target = 5 }", "no unit"),
        ("{ name = 'codel', target = '0ms' }", "above 0"),
        ("{ name = 'fq-codel', flows = 0 }", "from 1 to 65536"),
        ("{ name = 'fq-codel', flows = 70000 }", "from 1 to 65536"),
        ("{ name = 'fq-codel', quantum = '0B' }", "above 0"),
        ("{ name = 'fq-codel', interval = '0ms' }", "above 0"),
        ("{ name = 'dualpi2', coupling = 0 }", "from 1 to 255"),
        ("{ name = 'dualpi2', update = '0ms' }", "above 0"),
        ("{ name = 'dualpi2', alpha = '0Hz' }", "above 0"),
        ("{ name = 'dualpi2', alpha = 0.16 }", "0.16Hz"),
    ] {
        let error = read(discipline).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
