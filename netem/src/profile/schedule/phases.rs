//! The schedule as a link follows it: phases in order of time.

use super::ScheduleStep;
use crate::{
    impair::loss::LossModel,
    units::{DurationNs, Percent, Rate},
};

/// Steps of a ramp, and how short they may be.
const RAMP_STEPS_MAX: u64 = 100;
const RAMP_STEP_NS_MIN: u64 = 1_000_000;

/// Rate, delay and loss from `from_ns` until the next phase.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Phase {
    /// Nanoseconds from the start of the run.
    pub from_ns: u64,
    /// The bottleneck's rate.
    pub rate: Option<Rate>,
    /// The fixed part of the one-way delay.
    pub delay_ns: u64,
    /// The loss on the wire.
    pub loss: LossModel,
    /// Set if no packet gets through.
    pub blackout: bool,
    /// Set if the bottleneck sends nothing.
    pub paused: bool,
}

impl Phase {
    /// Returns the share of packets lost on the wire.
    #[must_use]
    pub fn loss_mean(&self) -> Percent {
        if self.blackout {
            return Percent::HUNDRED;
        }
        self.loss.mean()
    }
}

/// Returns the phases of a run that starts as `first` says; they start at different times, the
/// first at 0.
pub(crate) fn phases(first: Phase, steps: &[ScheduleStep]) -> Vec<Phase> {
    let steps = &ramped(&first, steps);
    let starts = steps.iter().map(|step| step.at.0);
    let ends = steps.iter().filter_map(|step| step.blackout_until);
    let resumed = steps.iter().filter_map(|step| step.pause_until);
    let ends = ends.chain(resumed);
    let mut times: Vec<u64> = starts.chain(ends.map(|end| end.0)).collect();
    times.sort_unstable();
    times.dedup();

    let mut phases = vec![first];
    for from_ns in times {
        let mut phase = phases[phases.len() - 1].clone();
        phase.from_ns = from_ns;
        for step in steps.iter().filter(|step| step.at.0 == from_ns) {
            phase.rate = step.rate.or(phase.rate);
            phase.delay_ns = step.delay.map_or(phase.delay_ns, |delay| delay.0);
            phase.loss = step.loss.clone().unwrap_or(phase.loss);
        }
        let within = |at: DurationNs, until: Option<DurationNs>| {
            (at.0..until.unwrap_or_default().0).contains(&from_ns)
        };
        phase.blackout = steps
            .iter()
            .any(|step| within(step.at, step.blackout_until));
        phase.paused = steps.iter().any(|step| within(step.at, step.pause_until));
        // An entry at 0 replaces the start: two phases at one time would have no order.
        if from_ns == 0 {
            phases.clear();
        }
        phases.push(phase);
    }
    phases
}

/// Returns the entries with each ramp as the steps it consists of.
fn ramped(first: &Phase, steps: &[ScheduleStep]) -> Vec<ScheduleStep> {
    let (mut rate, mut delay) = (first.rate, DurationNs(first.delay_ns));
    let mut all = Vec::with_capacity(steps.len());
    for step in steps {
        let goal = (step.rate.or(rate), step.delay.unwrap_or(delay));
        let ramp_ns = step.ramp.map_or(0, |ramp| ramp.0);
        let count = (ramp_ns / RAMP_STEP_NS_MIN).clamp(1, RAMP_STEPS_MAX);
        // A ramp keeps the rest of its entry (loss, blackout) at its start.
        if ramp_ns == 0 {
            all.push(step.clone());
        } else {
            all.push(ScheduleStep {
                rate: None,
                delay: None,
                ..step.clone()
            });
        }
        for number in (1..=count).filter(|_| ramp_ns > 0) {
            let part = |from: u64, to: u64| {
                let way = (i128::from(to) - i128::from(from)) * i128::from(number);
                (i128::from(from) + way / i128::from(count)) as u64
            };
            // Without a rate there is nothing to start from.
            let from = rate.or(goal.0).map(Rate::bps);
            let between = from.zip(goal.0).map(|(from, to)| part(from, to.bps()));
            all.push(ScheduleStep {
                at: DurationNs(part(step.at.0, step.at.0 + ramp_ns)),
                rate: between.and_then(|bps| Rate::from_bps(bps).ok()),
                delay: Some(DurationNs(part(delay.0, goal.1.0))),
                ..ScheduleStep::default()
            });
        }
        (rate, delay) = goal;
    }
    all
}
