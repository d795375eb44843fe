//! The shares of flows that run at the same time.
//!
//! A transfer's goodput says little of that: who is alone for a while catches up. What counts
//! is the second half of the time in which all of them run: by then the last flow to start has
//! had time to find its share.

use super::timing::Timing;
use super::{FlowLog, rate_bps};

/// Each flow's goodput while all of them ran.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sharing {
    /// Goodput, bits a second, in the order of the transfers.
    pub(super) goodput_bps: Vec<u64>,
}

impl Sharing {
    /// The shares; none without two flows and a time in which all of them ran.
    pub(super) fn of(timings: &[Timing], flows: &[FlowLog]) -> Option<Self> {
        // A flow without a log, as of a foreign peer, leaves nothing to compare.
        if timings.len() < 2 || timings.len() != flows.len() {
            return None;
        }
        let from_ns = timings.iter().map(|timing| timing.started_ns).max()?;
        let to_ns = timings.iter().map(|timing| timing.ended_ns).min()?;
        if to_ns <= from_ns {
            return None;
        }
        // The first half is a newcomer's start-up, not its share.
        let middle_ns = from_ns + (to_ns - from_ns) / 2;
        let goodput = |flow: &FlowLog| {
            let at = |t_ns| delivered_by(flow, t_ns);
            rate_bps(at(to_ns) - at(middle_ns), to_ns - middle_ns)
        };
        Some(Self {
            goodput_bps: flows.iter().map(goodput).collect(),
        })
    }

    /// Jain's fairness index.
    pub(super) fn jain(&self) -> Option<f64> {
        jain(&self.goodput_bps)
    }

    /// Each flow's share of the goodput of all, per cent, joined by `+`.
    pub(super) fn describe(&self) -> String {
        let sum = self.goodput_bps.iter().sum::<u64>().max(1) as f64;
        let share = |bps: &u64| format!("{:.1}", *bps as f64 / sum * 100.0);
        self.goodput_bps
            .iter()
            .map(share)
            .collect::<Vec<_>>()
            .join("+")
    }
}

/// Stream bytes acknowledged until then.
fn delivered_by(flow: &FlowLog, t_ns: u64) -> u64 {
    let known = flow.progress.partition_point(|&(at_ns, _)| at_ns <= t_ns);
    known.checked_sub(1).map_or(0, |last| flow.progress[last].1)
}

/// Jain's fairness index of some rates: 1 when all are the same, 1/n when one is everything;
/// of one rate, or of none but zeros, nothing.
pub(super) fn jain(rates_bps: &[u64]) -> Option<f64> {
    let (sum, squares) = rates_bps.iter().fold((0.0, 0.0), |(sum, squares), &rate| {
        let rate = rate as f64;
        (sum + rate, squares + rate * rate)
    });
    // The index of one flow is always 1, and would look like fairness.
    let several = rates_bps.len() > 1 && squares > 0.0;
    several.then(|| sum * sum / (rates_bps.len() as f64 * squares))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn timing(started: u64, ended: u64) -> Timing {
        Timing {
            started_ns: started * SECOND,
            ended_ns: ended * SECOND,
            ..Timing::default()
        }
    }

    /// A flow that delivers so many bytes every second of its time.
    fn flow(timing: &Timing, bytes: u64) -> FlowLog {
        let seconds = timing.started_ns / SECOND..=timing.ended_ns / SECOND;
        FlowLog {
            progress: seconds
                .enumerate()
                .map(|(n, second)| (second * SECOND, n as u64 * bytes))
                .collect(),
            ..FlowLog::default()
        }
    }

    #[test]
    fn only_the_last_half_of_the_time_together_counts() {
        let timings = [timing(0, 30), timing(10, 40)];
        let mut flows = [flow(&timings[0], 100), flow(&timings[1], 300)];
        // Bytes delivered before 20 s are left out.
        flows[0].progress.retain(|&(t_ns, _)| t_ns >= 20 * SECOND);
        flows[0].progress.insert(0, (SECOND, 2_000));
        let sharing = Sharing::of(&timings, &flows).unwrap();
        assert_eq!(sharing.goodput_bps, [800, 2_400]);
        assert_eq!(sharing.describe(), "25.0+75.0");
        assert_eq!(sharing.jain(), Some(0.8));
    }

    #[test]
    fn flows_that_never_meet_share_nothing() {
        let timings = [timing(0, 10), timing(10, 20)];
        let flows = [flow(&timings[0], 100), flow(&timings[1], 100)];
        assert_eq!(Sharing::of(&timings, &flows), None);
        assert_eq!(Sharing::of(&timings[..1], &flows[..1]), None);
    }

    #[test]
    fn one_flow_that_has_it_all_is_as_unfair_as_can_be() {
        assert_eq!(jain(&[5, 5]), Some(1.0));
        assert_eq!(jain(&[9, 0]), Some(0.5));
        assert_eq!(jain(&[9]), None);
        assert_eq!(jain(&[0, 0]), None);
    }
}
