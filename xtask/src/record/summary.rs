//! The numbers of a run.

use lftp_netem::profile::NetworkProfile;
use sha2::{Digest, Sha256};

use super::sharing::{self, Sharing};
use super::timing::Timing;
use super::{Detail, FlowLog, LinkLog, Validity, rate_bps, recovery, throughput};
use crate::rows::{RunRecord, Summary};
use crate::scenario::Scenario;

/// The logs of a run, before they become its record.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `real` or `virtual`.
    pub clock: &'static str,
    /// The seed of everything random.
    pub seed: u64,
    /// The transfers.
    pub timings: Vec<Timing>,
    /// The data senders.
    pub flows: Vec<FlowLog>,
    /// The packets.
    pub link: LinkLog,
    /// The validity of the numbers.
    pub validity: Validity,
    /// The command that repeats this run.
    pub command: String,
}

/// Derives the record of a run from its logs.
pub(crate) fn assemble(scenario: &Scenario, detail: Detail, mut outcome: Outcome) -> RunRecord {
    let summary = summary(scenario, &outcome);
    let network = &scenario.network;
    let forward = network.forward();
    let end_ns = outcome
        .timings
        .iter()
        .map(|timing| timing.ended_ns)
        .max()
        .unwrap_or(0);
    let throughput = match detail {
        Detail::Full => throughput::rows(end_ns, &forward, &outcome.flows, &outcome.link),
        Detail::Summary => Vec::new(),
    };
    let mut trace = Vec::new();
    for (number, flow) in (0..).zip(&mut outcome.flows) {
        trace.extend(flow.rows.drain(..).map(|mut row| {
            row.flow = number;
            row
        }));
    }
    // A stable sort: at the same time the order is that of the transfers.
    trace.sort_by_key(|row| row.t_ns);
    let mut packets = outcome.link.rows;
    packets.sort_by_key(|packet| (packet.t_ns, packet.direction, packet.index));
    RunRecord {
        summary,
        trace,
        packets,
        throughput,
        scenario_toml: scenario.to_toml(),
        command: outcome.command,
        queue_limit_bytes: forward.queue_bytes(),
        link_rtt_ns: network.round_trip_ns(),
        link_rate_bps: forward.rate_bps(),
    }
}

fn summary(scenario: &Scenario, outcome: &Outcome) -> Summary {
    let timings = &outcome.timings;
    let started_ns = timings.iter().map(|timing| timing.started_ns).min();
    let started_ns = started_ns.unwrap_or(0);
    let ended_ns = timings.iter().map(|timing| timing.ended_ns).max();
    let ended_ns = ended_ns.unwrap_or(0);
    let bytes = timings.iter().map(|timing| timing.bytes).sum();
    let duration_ns = ended_ns - started_ns;
    let intact = timings.iter().all(|timing| timing.intact);
    // What is not intact has delivered nothing of use, however fast it was.
    let goodput_bps = if intact {
        rate_bps(bytes, duration_ns)
    } else {
        0
    };
    // For this duration, since a schedule changes the rate: a faster run has met less of it.
    let achievable_bps = scenario.network.achievable_bps(duration_ns);
    let share = |bps: u64| achievable_bps.map(|most| ratio(bps, most));
    let mut rtt_ns: Vec<u64> = outcome
        .flows
        .iter()
        .flat_map(|flow| &flow.rtt_ns)
        .copied()
        .collect();
    rtt_ns.sort_unstable();
    let flows = &outcome.flows;
    let sum = |pick: fn(&FlowLog) -> u64| flows.iter().map(pick).sum::<u64>();
    let transport = scenario.transport_of(&scenario.flows()[0]);
    let recoveries = recovery::recoveries(&scenario.network, ended_ns, flows);
    let sharing = Sharing::of(timings, flows);
    let again = sum(|flow| flow.stream_bytes_sent).saturating_sub(bytes);
    Summary {
        scenario: scenario.name.clone(),
        clock: outcome.clock.to_owned(),
        seed: outcome.seed,
        peer: None,
        congestion: congestions(scenario),
        recovery: transport.recovery.to_string(),
        intact,
        failure: timings.iter().find_map(|timing| timing.failure.clone()),
        bytes,
        flows: timings.len() as u32,
        duration_ns,
        goodput_bps,
        achievable_bps,
        efficiency_ratio: share(goodput_bps),
        steady_ratio: steady_bps(flows, bytes).filter(|_| intact).and_then(share),
        jain_index: jain(timings),
        shared_percent: sharing.as_ref().map(Sharing::describe),
        shared_jain_index: sharing.as_ref().and_then(Sharing::jain),
        recovery_ms: recovery::describe(&recoveries),
        packets_sent: sum(|flow| flow.packets_sent),
        packets_retransmitted: sum(|flow| flow.packets_retransmitted),
        packets_lost_on_link: outcome.link.lost,
        queue_drops: outcome.link.queue_drops,
        spurious_retransmissions: sum(|flow| flow.spurious),
        // Sent again and not lost: it arrived twice. Headers of lost packets make it a lower bound.
        redundant_bytes: again.saturating_sub(outcome.link.forward_lost_bytes),
        wire_bytes: outcome.link.wire_bytes,
        rtt_min_ns: rtt_ns.first().copied(),
        rtt_p50_ns: percentile(&rtt_ns, 50),
        rtt_p95_ns: percentile(&rtt_ns, 95),
        queue_delay_p95_ns: queue_delay_p95_ns(&scenario.network, &outcome.link),
        valid: outcome.validity.valid,
        validity: outcome.validity.reason.clone(),
        lateness_p50_ns: outcome.validity.lateness_ns[0],
        lateness_p99_ns: outcome.validity.lateness_ns[1],
        lateness_max_ns: outcome.validity.lateness_ns[2],
        own_drops: outcome.validity.own_drops,
        trace_sha256: trace_sha256(outcome),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The controllers' names, each once.
fn congestions(scenario: &Scenario) -> String {
    let mut names: Vec<String> = Vec::new();
    for flow in scenario.flows() {
        let name = scenario.transport_of(&flow).congestion.to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join("+")
}

/// To four places, so that a ratio is the same text everywhere.
fn ratio(part: u64, whole: u64) -> f64 {
    // Whole numbers first: a division of floats could print another last digit elsewhere.
    let parts = u128::from(part) * 10_000 / u128::from(whole.max(1));
    parts as f64 / 10_000.0
}

/// The goodput between 20 % and 95 % of the bytes, as acknowledgements tell it.
fn steady_bps(flows: &[FlowLog], bytes: u64) -> Option<u64> {
    let mut steps: Vec<(u64, u64)> = Vec::new();
    for flow in flows {
        let mut before = 0;
        steps.extend(flow.progress.iter().map(|&(t_ns, delivered)| {
            let step = delivered - before;
            before = delivered;
            (t_ns, step)
        }));
    }
    steps.sort_unstable();
    let mut delivered = 0;
    let mut reached = |least: u64, steps: &mut std::slice::Iter<'_, (u64, u64)>| {
        steps.find_map(|&(t_ns, step)| {
            delivered += step;
            (delivered >= least).then_some((t_ns, delivered))
        })
    };
    let mut rest = steps.iter();
    // Without start-up, which takes some round trips, and without the last losses.
    let (from_ns, from) = reached(bytes / 5, &mut rest)?;
    let (to_ns, to) = reached(bytes / 20 * 19, &mut rest)?;
    (to_ns > from_ns).then(|| rate_bps(to - from, to_ns - from_ns))
}

/// Jain's fairness index of the transfers' goodput.
fn jain(timings: &[Timing]) -> Option<f64> {
    let rate = |timing: &Timing| rate_bps(timing.bytes, timing.ended_ns - timing.started_ns);
    sharing::jain(&timings.iter().map(rate).collect::<Vec<_>>())
}

/// The value that `percent` % are not above, of sorted values.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(rank).copied()
}

fn queue_delay_p95_ns(network: &NetworkProfile, link: &LinkLog) -> Option<u64> {
    let mut delays = link.forward_delay_ns.clone();
    delays.sort_unstable();
    // What is above the fixed delay: jitter counts as queue, since a receiver cannot tell them
    // apart.
    let own_ns = network.forward().delay_ns();
    Some(percentile(&delays, 95)?.saturating_sub(own_ns))
}

fn trace_sha256(outcome: &Outcome) -> String {
    let mut hash = Sha256::new();
    hash.update(outcome.link.digest());
    for flow in &outcome.flows {
        hash.update(flow.digest());
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_occurs() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&values, 50), Some(50));
        assert_eq!(percentile(&values, 95), Some(95));
        assert_eq!(percentile(&[7], 95), Some(7));
        assert_eq!(percentile(&[], 95), None);
    }

    #[test]
    fn the_steady_rate_leaves_out_the_slow_start_and_the_tail() {
        let progress = vec![(1_000, 20), (2_000, 60), (3_000, 96), (90_000, 100)];
        let flow = FlowLog {
            progress,
            ..FlowLog::default()
        };
        // 76 bytes in 2 µs.
        assert_eq!(steady_bps(&[flow], 100), Some(304_000_000));
    }
}
