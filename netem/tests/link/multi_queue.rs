//! Disciplines with several queues behind them: FlowQueue-CoDel and DualPI2.

use std::net::SocketAddr;

use lftp_netem::{
    Time,
    link::Link,
    packet::Packet,
    record::{PacketOutcome, PacketRecord},
};

use super::{at, drain, link, records};

const S: u64 = 1_000_000_000;
/// A millisecond, or the time that 1000 bytes take at 8 Mbit/s.
const MS: u64 = 1_000_000;

/// A packet of a flow, which is its source port.
fn packet(flow: u16, link_bytes: u64, ecn: u8) -> Packet {
    let address = |host, port| SocketAddr::from(([10, 0, 0, host], port));
    let payload = vec![0; link_bytes as usize - 28];
    Packet::new(address(1, flow), address(2, 9), ecn, payload)
}

fn discipline(discipline: &str) -> Link {
    link(&format!(
        "rate = '8mbit'\nqueue = '1000p'\ndiscipline = {discipline}"
    ))
}

/// A flow that sends a packet every so often, whatever happens to it.
#[derive(Clone, Copy)]
struct Flow {
    port: u16,
    every_ns: u64,
    link_bytes: u64,
    ecn: u8,
}

impl Flow {
    const fn new(port: u16, every_ns: u64, link_bytes: u64) -> Self {
        Self {
            port,
            every_ns,
            link_bytes,
            ecn: 0,
        }
    }
}

/// Lets the flows send for this long; returns the records of packets delivered or lost by then.
fn send(link: &mut Link, flows: &[Flow], until_ns: u64) -> Vec<PacketRecord> {
    let mut turns: Vec<(u64, usize)> = (0..flows.len()).map(|flow| (flow as u64, flow)).collect();
    let mut out = Vec::new();
    while let Some(turn) = turns.iter_mut().min() {
        let (now, flow) = (turn.0, flows[turn.1]);
        if now >= until_ns {
            break;
        }
        turn.0 += flow.every_ns;
        drain(link, at(now), &mut out);
        link.push(at(now), packet(flow.port, flow.link_bytes, flow.ecn));
    }
    drain(link, at(until_ns), &mut out);
    records(link)
}

fn of_flow(records: &[PacketRecord], port: u16) -> impl Iterator<Item = &PacketRecord> {
    let mine = move |record: &&PacketRecord| record.source.port() == port;
    records.iter().filter(mine)
}

fn delivered_bytes(records: &[PacketRecord], port: u16) -> u64 {
    let delivered =
        of_flow(records, port).filter(|record| record.outcome == PacketOutcome::Delivered);
    delivered.map(|record| record.link_bytes).sum()
}

/// The longest time in the link of the packets that came out after `from_ns`.
fn longest_ns(records: &[PacketRecord], port: u16, from_ns: u64) -> u64 {
    let late = of_flow(records, port).filter(|record| record.departed_at >= at(from_ns));
    late.filter_map(PacketRecord::delay_ns).max().unwrap_or(0)
}

#[test]
fn fq_codel_gives_each_flow_its_share_of_bytes_whatever_it_sends() {
    let mut link = discipline("'fq-codel'");
    // Shares of 1/3 each, though they send 4, 1 and 2 times the link's rate, in packets of
    // different sizes.
    let flows = [
        Flow::new(1, MS / 4, 1000),
        Flow::new(2, MS / 5, 200),
        Flow::new(3, MS / 2, 1000),
    ];
    let records = send(&mut link, &flows, 10 * S);
    for port in [1, 2, 3] {
        let share = delivered_bytes(&records, port) as f64 / 10_000_000.0;
        assert!((share - 1.0 / 3.0).abs() < 0.005, "{port}: {share}");
    }
}

#[test]
fn with_drop_tail_they_would_share_by_what_they_send() {
    let flows = [Flow::new(1, MS / 4, 1000), Flow::new(2, MS, 1000)];
    let records = send(&mut discipline("'drop-tail'"), &flows, 10 * S);
    let greedy = delivered_bytes(&records, 1) as f64 / delivered_bytes(&records, 2) as f64;
    assert!(greedy > 3.0, "{greedy}");
}

#[test]
fn fq_codel_sends_sparse_flows_ahead_of_all_others() {
    let sparse = Flow::new(9, 20 * MS, 200);
    let bulk: Vec<_> = (1..=4).map(|port| Flow::new(port, MS / 2, 1000)).collect();
    let flows = [&bulk[..], &[sparse]].concat();
    let records = send(&mut discipline("'fq-codel'"), &flows, 5 * S);
    // One packet being sent and its own 0.2 ms are all it waits for, once the others are not new.
    let longest = longest_ns(&records, 9, S);
    assert!(longest <= MS + MS / 5, "{longest}");
    assert!(of_flow(&records, 9).all(|record| record.outcome == PacketOutcome::Delivered));
    let records = send(&mut discipline("'codel'"), &flows, 5 * S);
    assert!(longest_ns(&records, 9, S) > 20 * MS);
}

#[test]
fn fq_codel_holds_each_flow_near_the_target() {
    // 10 % too much each: CoDel gets there in time.
    let flows = [
        Flow::new(1, 2 * MS * 10 / 11, 1000),
        Flow::new(2, 2 * MS * 10 / 11, 1000),
    ];
    let records = send(&mut discipline("'fq-codel'"), &flows, 60 * S);
    for port in [1, 2] {
        let late = of_flow(&records, port).filter(|record| record.departed_at >= at(40 * S));
        let delays: Vec<_> = late.filter_map(PacketRecord::delay_ns).collect();
        let mean = delays.iter().sum::<u64>() / delays.len() as u64;
        assert!(mean < 20 * MS, "{mean}");
        let dropped =
            of_flow(&records, port).filter(|record| record.outcome == PacketOutcome::EarlyDrop);
        assert!(dropped.count() > 1000);
    }
}

#[test]
fn fq_codel_marks_by_default_and_past_its_threshold() {
    let flow = |port| Flow {
        ecn: 2,
        ..Flow::new(port, 2 * MS * 10 / 11, 1000)
    };
    let records = send(&mut discipline("'fq-codel'"), &[flow(1), flow(2)], 5 * S);
    let marked = records.iter().filter(|record| record.ce_marked).count();
    assert!(marked > 5, "{marked}");
    assert!(
        records
            .iter()
            .all(|record| record.outcome == PacketOutcome::Delivered)
    );
    let mut link = discipline("{ name = 'fq-codel', ce_threshold = '10ms' }");
    let records = send(&mut link, &[flow(1), flow(2)], 2 * S);
    for record in records
        .iter()
        .filter(|record| record.outcome == PacketOutcome::Delivered)
    {
        // What it takes to send is not part of what it stayed.
        let waited_ns = record.delay_ns().unwrap() - MS;
        assert!(record.ce_marked || waited_ns <= 10 * MS, "{record:?}");
    }
}

#[test]
fn fq_codel_makes_room_from_the_head_of_the_fattest_flow() {
    let mut link = link("rate = '8mbit'\nqueue = '10p'\ndiscipline = 'fq-codel'");
    for _ in 0..8 {
        link.push(Time::ZERO, packet(1, 1000, 0));
    }
    for _ in 0..3 {
        link.push(Time::ZERO, packet(2, 1000, 0));
    }
    let dropped: Vec<_> = records(&mut link)
        .iter()
        .map(|record| (record.index, record.outcome))
        .collect();
    // Seven of the first flow wait, of which half goes, from the oldest on.
    assert_eq!(
        dropped,
        [1, 2, 3].map(|index| (index, PacketOutcome::QueueDrop))
    );
}

#[test]
fn fq_codel_hashes_flows_by_the_seed() {
    // With two queues two flows share one or do not, and that is up to the seed.
    let shared = |seed| {
        let network = "rate = '8mbit'\nqueue = '1000p'\n\
                       discipline = { name = 'fq-codel', flows = 2 }";
        let mut link = super::seeded(network, seed);
        let flows = [Flow::new(1, MS / 4, 1000), Flow::new(2, MS, 1000)];
        let records = send(&mut link, &flows, S);
        delivered_bytes(&records, 1) > 2 * delivered_bytes(&records, 2)
    };
    let count = (0..40).filter(|seed| shared(*seed)).count();
    // Binomial, 99.9 %.
    assert!((10..=30).contains(&count), "{count}");
}

#[test]
fn dualpi2_keeps_low_latency_packets_out_of_the_classic_queue() {
    let mut link = discipline("'dualpi2'");
    // Together 5 % too much, of which a fifth is low-latency.
    let flows = [
        Flow::new(1, MS * 100 / 85, 1000),
        Flow {
            ecn: 1,
            ..Flow::new(2, 5 * MS, 1000)
        },
    ];
    let records = send(&mut link, &flows, 60 * S);
    let classic_ns = longest_ns(&records, 1, 30 * S);
    let low_ns = longest_ns(&records, 2, 30 * S);
    assert!(classic_ns > 10 * MS, "{classic_ns}");
    // A packet being sent, a second one that the scheduler owes, and itself.
    assert!(low_ns <= 3 * MS, "{low_ns}");
    assert!(of_flow(&records, 2).all(|record| record.outcome == PacketOutcome::Delivered));
    assert!(of_flow(&records, 1).all(|record| !record.ce_marked));
    assert!(of_flow(&records, 1).any(|record| record.outcome == PacketOutcome::EarlyDrop));
}

#[test]
fn dualpi2_holds_the_classic_queue_near_its_target() {
    for ecn in [0, 2] {
        let flow = Flow {
            ecn,
            ..Flow::new(1, MS * 100 / 105, 1000)
        };
        let records = send(&mut discipline("'dualpi2'"), &[flow], 60 * S);
        if ecn == 2 {
            // Marks do not help with one that heeds none; until overload nothing is dropped.
            let first = records
                .iter()
                .position(|record| record.outcome == PacketOutcome::EarlyDrop);
            let marked = records[..first.unwrap_or(records.len())].iter();
            assert!(marked.filter(|record| record.ce_marked).count() > 10);
            continue;
        }
        let late = records
            .iter()
            .filter(|record| record.departed_at >= at(30 * S));
        let delays: Vec<_> = late.filter_map(PacketRecord::delay_ns).collect();
        let mean = delays.iter().sum::<u64>() / delays.len() as u64;
        assert!((10 * MS..20 * MS).contains(&mean), "{mean}");
    }
}

#[test]
fn dualpi2_protects_the_classic_queue_from_starving() {
    let low_latency = Flow {
        ecn: 1,
        ..Flow::new(2, MS / 2, 1000)
    };
    let classic = Flow::new(1, MS / 2, 1000);
    for (share, text) in [(0.1, "10%"), (0.4, "40%")] {
        // With so little gain nothing is dropped, and both queues are always full.
        let mut link = link(&format!(
            "rate = '8mbit'\nqueue = '100000p'\ndiscipline = {{ name = 'dualpi2', \
             classic_share = '{text}', alpha = '1uHz', beta = '1uHz' }}"
        ));
        let records = send(&mut link, &[classic, low_latency], 10 * S);
        let found = delivered_bytes(&records, 1) as f64 / 10_000_000.0;
        assert!((found - share).abs() < 0.01, "{found} of {share}");
    }
}

#[test]
fn dualpi2_marks_by_the_step_alone_when_there_is_no_classic_traffic() {
    let flow = Flow {
        ecn: 1,
        ..Flow::new(1, MS * 100 / 105, 1000)
    };
    let mut link = discipline("{ name = 'dualpi2', alpha = '1uHz', beta = '1uHz' }");
    let records = send(&mut link, &[flow], S);
    for record in records
        .iter()
        .filter(|record| record.outcome == PacketOutcome::Delivered)
    {
        let waited_ns = record.delay_ns().unwrap() - MS;
        // The last one in the queue is left alone (two packets of the MTU), not by the step.
        assert_eq!(record.ce_marked, waited_ns > MS, "{record:?}");
    }
    assert!(records.iter().any(|record| record.ce_marked));
}

/// A sender with a window, which its acknowledgements clock: a classic one halves it at each
/// round with a loss, a scalable one takes half a packet for each mark.
struct Sender {
    port: u16,
    scalable: bool,
    window: f64,
    inside: u64,
    hold_until: Time,
}

impl Sender {
    const fn new(port: u16, scalable: bool) -> Self {
        Self {
            port,
            scalable,
            window: 4.0,
            inside: 0,
            hold_until: Time::ZERO,
        }
    }

    fn on_record(&mut self, record: &PacketRecord, round_trip_ns: u64) {
        self.inside -= 1;
        let bad = record.outcome != PacketOutcome::Delivered || record.ce_marked;
        match (self.scalable, bad) {
            (_, false) => self.window += 1.0 / self.window,
            (true, true) => self.window = (self.window + 1.0 / self.window - 0.5).max(2.0),
            (false, true) if record.departed_at < self.hold_until => {}
            (false, true) => {
                self.window = (self.window / 2.0).max(2.0);
                self.hold_until = record.departed_at.plus_nanos(round_trip_ns);
            }
        }
    }
}

/// Two senders on 40 Mbit/s with 20 ms: the bytes and the mean queueing delay of each in the
/// last two thirds of a minute.
fn contest(network: &str) -> [(u64, u64); 2] {
    let mut link = link(network);
    let mut senders = [Sender::new(1, false), Sender::new(2, true)];
    let (mut result, mut counts) = ([(0, 0); 2], [0; 2]);
    let (end, mut now) = (at(60 * S), Time::ZERO);
    while now < end {
        for sender in &mut senders {
            while (sender.inside as f64) < sender.window {
                sender.inside += 1;
                let ecn = if sender.scalable { 1 } else { 0 };
                link.push(now, packet(sender.port, 1000, ecn));
            }
        }
        now = link.next_wakeup().unwrap();
        while link.pop(now).is_some() {}
        for record in records(&mut link) {
            let which = usize::from(record.source.port() == 2);
            senders[which].on_record(&record, 20 * MS);
            if let Some(delay_ns) = record.delay_ns()
                && record.departed_at >= at(20 * S)
            {
                result[which].0 += record.link_bytes;
                result[which].1 += delay_ns - 20 * MS - MS / 5;
                counts[which] += 1;
            }
        }
    }
    [0, 1].map(|which| (result[which].0, result[which].1 / counts[which]))
}

#[test]
fn dualpi2_lets_a_classic_and_a_scalable_flow_share_a_link() {
    let network = |discipline| {
        format!("rate = '40mbit'\ndelay = '20ms'\nqueue = '200ms'\ndiscipline = '{discipline}'")
    };
    let [classic, scalable] = contest(&network("dualpi2"));
    let total = (classic.0 + scalable.0) as f64;
    assert!(total > 0.9 * 40.0 * 5_000_000.0, "{total}");
    let ratio = scalable.0 as f64 / classic.0 as f64;
    assert!((0.4..2.5).contains(&ratio), "{ratio}");
    assert!(scalable.1 < MS, "{}", scalable.1);
    assert!((5 * MS..20 * MS).contains(&classic.1), "{}", classic.1);
    // In one queue that marks the scalable flow starves the classic one.
    let [classic, scalable] = contest(&format!("{}\necn_threshold = '5ms'", network("drop-tail")));
    let ratio = classic.0 as f64 / scalable.0 as f64;
    assert!(!(0.4..2.5).contains(&ratio), "{ratio}");
}
