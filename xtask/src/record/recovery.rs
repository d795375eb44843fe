//! The time that a transfer takes to reach its rate again after the network has changed.
//!
//! The clock starts when the bottleneck's rate has changed, or when a blackout or a pause is
//! over. It stops at the beginning of the first stretch of [`ROUND_TRIPS`] round trips in which
//! acknowledgements bring [`RECOVERED_PERCENT`] of what the link can let through.

use lftp_netem::profile::{DirectionProfile, NetworkProfile, Phase};

use super::FlowLog;

/// Round trips for which the rate has to hold.
const ROUND_TRIPS: u64 = 5;

/// The share of the achievable rate that counts as recovered, per cent.
const RECOVERED_PERCENT: u128 = 90;

/// For each change that the run lived through, in order of time: nanoseconds until the rate
/// had been found, or none if it never was.
pub(super) fn recoveries(
    network: &NetworkProfile,
    ended_ns: u64,
    flows: &[FlowLog],
) -> Vec<Option<u64>> {
    let forward = network.forward();
    let window_ns = ROUND_TRIPS * network.round_trip_ns().max(1);
    let steps = delivered(flows);
    changes(&forward, window_ns)
        .into_iter()
        .filter(|&(from_ns, _)| from_ns + window_ns <= ended_ns)
        .map(|(from_ns, until_ns)| {
            let last_ns = until_ns.min(ended_ns).saturating_sub(window_ns);
            let starts = steps.iter().map(|&(t_ns, _)| t_ns);
            // Only at acknowledgements: between two of them the sum is the same.
            let mut starts = std::iter::once(from_ns)
                .chain(starts.filter(|t_ns| (from_ns..=last_ns).contains(t_ns)));
            let found = starts.find(|&start_ns| {
                let came = at(&steps, start_ns + window_ns) - at(&steps, start_ns);
                // By the schedule, since the rate may change again within the window.
                let could = achievable_bits(&forward, start_ns + window_ns)
                    .saturating_sub(achievable_bits(&forward, start_ns));
                u128::from(came) * 8 * 100 >= could * RECOVERED_PERCENT
            });
            found.map(|start_ns| start_ns - from_ns)
        })
        .collect()
}

/// Each recovery in whole milliseconds, or `never`, joined by `+`; none without any.
pub(super) fn describe(recoveries: &[Option<u64>]) -> Option<String> {
    let text = |recovery: &Option<u64>| match recovery {
        Some(ns) => (ns / 1_000_000).to_string(),
        None => "never".to_owned(),
    };
    let texts: Vec<String> = recoveries.iter().map(text).collect();
    (!texts.is_empty()).then(|| texts.join("+"))
}

/// The changes after which the rate has to be found again, each with the time of the next. The
/// steps of a ramp are shorter than what is measured, all but the last.
fn changes(forward: &DirectionProfile, window_ns: u64) -> Vec<(u64, u64)> {
    let phases = forward.phases();
    let works = |phase: &Phase| !phase.blackout && !phase.paused;
    // The last phase has no end but the run's.
    let ends = phases[1..].iter().map(|phase| phase.from_ns);
    let ends: Vec<u64> = ends.chain([u64::MAX]).collect();
    let pairs = phases.iter().zip(&phases[1..]).zip(&ends[1..]);
    pairs
        .filter(|((before, phase), _)| {
            // A change of delay or loss alone leaves the rate where it was.
            works(phase) && (!works(before) || before.rate != phase.rate)
        })
        .map(|((_, phase), &end_ns)| (phase.from_ns, end_ns))
        // A phase shorter than the window cannot show a recovered rate.
        .filter(|&(from_ns, end_ns)| end_ns - from_ns > window_ns)
        .collect()
}

/// The UDP payload that can have arrived by then, bits.
fn achievable_bits(forward: &DirectionProfile, t_ns: u64) -> u128 {
    let bps = forward.achievable_bps(t_ns).unwrap_or(0);
    u128::from(bps) * u128::from(t_ns) / 1_000_000_000
}

/// Stream bytes acknowledged over time, all flows together.
fn delivered(flows: &[FlowLog]) -> Vec<(u64, u64)> {
    let mut steps: Vec<(u64, u64)> = Vec::new();
    for flow in flows {
        let mut before = 0;
        for &(t_ns, delivered) in &flow.progress {
            steps.push((t_ns, delivered - before));
            before = delivered;
        }
    }
    steps.sort_unstable();
    let mut sum = 0;
    for (_, bytes) in &mut steps {
        sum += *bytes;
        *bytes = sum;
    }
    steps
}

/// The sum at a time.
fn at(steps: &[(u64, u64)], t_ns: u64) -> u64 {
    let known = steps.partition_point(|&(at_ns, _)| at_ns <= t_ns);
    known.checked_sub(1).map_or(0, |last| steps[last].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A flow that gets so many bytes a millisecond from each time (ms) on, until 10 s.
    fn flow(rates: &[(u64, u64)]) -> FlowLog {
        let mut sum = 0;
        let progress = (1..=10_000).map(|ms| {
            let now = rates.iter().rev().find(|(from, _)| *from < ms);
            sum += now.map_or(0, |&(_, rate)| rate);
            (ms * MS, sum)
        });
        FlowLog {
            progress: progress.collect(),
            ..FlowLog::default()
        }
    }

    fn network(schedule: &str) -> NetworkProfile {
        let text = format!("rate = \"8mbit\"\ndelay = \"20ms\"\n{schedule}");
        NetworkProfile::from_toml_str(&text).unwrap()
    }

    #[test]
    fn a_recovery_ends_when_nine_tenths_of_the_new_rate_have_come_for_five_round_trips() {
        let network = network("schedule = [{ at = \"2s\", rate = \"16mbit\" }]");
        // 1,000 bytes a millisecond are 8 Mbit/s with the headers: more than can survive.
        let slow = flow(&[(0, 980), (3_000, 1_300), (4_500, 1_960)]);
        let found = recoveries(&network, 10_000 * MS, &[slow]);
        let [Some(ns)] = found[..] else {
            panic!("{found:?}")
        };
        // The stretch may begin before the step where what follows makes up for it.
        assert!((4_440 * MS - 2_000 * MS..=2_500 * MS).contains(&ns), "{ns}");
        let never = flow(&[(0, 980), (3_000, 1_300)]);
        assert_eq!(recoveries(&network, 10_000 * MS, &[never]), [None]);
    }

    #[test]
    fn the_end_of_a_blackout_is_a_change_and_its_beginning_is_none() {
        let network = network("schedule = [{ at = \"2s\", blackout_until = \"4s\" }]");
        let flow = flow(&[(0, 980), (2_000, 0), (4_300, 980)]);
        let found = recoveries(&network, 10_000 * MS, &[flow]);
        let [Some(ns)] = found[..] else {
            panic!("{found:?}")
        };
        assert!((275 * MS..=300 * MS).contains(&ns), "{ns}");
    }

    #[test]
    fn a_change_after_the_end_of_the_run_is_left_out() {
        let network = network("schedule = [{ at = \"2s\", rate = \"16mbit\" }]");
        assert_eq!(recoveries(&network, 2_100 * MS, &[flow(&[])]), []);
        assert_eq!(describe(&[]), None);
        assert_eq!(
            describe(&[Some(12 * MS), None]).as_deref(),
            Some("12+never")
        );
    }
}
