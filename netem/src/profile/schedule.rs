//! What changes during a run, and when.

use serde::{Deserialize, Serialize};

use super::{DurationNs, LossModel, Percent, Rate, UnitError};

/// An entry of `[[network.schedule]]`: from `at` on, what it gives is so, until another entry
/// gives it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ScheduleStep {
    /// When, from the start of the run. Entries stand in order of time.
    pub at: DurationNs,
    /// The bottleneck's rate; a packet half sent is finished at the new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// The one-way delay of packets that come to the wire from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<DurationNs>,
    /// The loss on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossModel>,
    /// Until then, from the start of the run, every packet that comes to the wire is lost. What
    /// is on the wire arrives; the queue goes on sending, into the void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blackout_until: Option<DurationNs>,
    /// Until then, from the start of the run, the bottleneck sends nothing and packets wait: a
    /// handover, where the next entry may say what the new cell is like. Needs a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_until: Option<DurationNs>,
    /// From `at` on, rate and delay go to what is given here in so long, evenly, in a hundred
    /// steps but none shorter than 1 ms. It is over before the next entry. Default: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<DurationNs>,
}

/// Steps of a ramp, and how short they may be.
const RAMP_STEPS_MAX: u64 = 100;
const RAMP_STEP_NS_MIN: u64 = 1_000_000;

pub(super) fn check(steps: &[ScheduleStep]) -> Result<(), UnitError> {
    for (index, step) in steps.iter().enumerate() {
        let fail = |message: String| {
            let (entry, at) = (index + 1, step.at);
            Err(UnitError::new(format!(
                "schedule entry {entry} (at {at}) {message}"
            )))
        };
        if index > 0 && step.at < steps[index - 1].at {
            return fail(format!("comes after one at {}", steps[index - 1].at));
        }
        if let Some(until) = step.blackout_until
            && until <= step.at
        {
            return fail(format!("has a blackout until {until}, before it begins"));
        }
        if let Some(until) = step.pause_until
            && until <= step.at
        {
            return fail(format!("has a pause until {until}, before it begins"));
        }
        if let Some(ramp) = step.ramp {
            if step.rate.is_none() && step.delay.is_none() {
                return fail("has a ramp to nowhere: give it rate or delay".into());
            }
            let next = steps.get(index + 1).map(|next| next.at);
            if next.is_some_and(|next| next.0 < step.at.0 + ramp.0) {
                return fail("has a ramp that is not over before the next entry".into());
            }
        }
        let nothing = step.pause_until.is_none()
            && step.rate.is_none()
            && step.delay.is_none()
            && step.loss.is_none()
            && step.blackout_until.is_none();
        if nothing {
            return fail(
                "changes nothing: give it rate, delay, loss, blackout_until or pause_until".into(),
            );
        }
    }
    Ok(())
}

/// What holds for a while, from `from_ns` until the next phase.
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
    /// Does nothing get through at all?
    pub blackout: bool,
    /// Does the bottleneck send nothing?
    pub paused: bool,
}

impl Phase {
    /// The share of packets lost on the wire.
    #[must_use]
    pub fn loss_mean(&self) -> Percent {
        if self.blackout {
            return Percent::HUNDRED;
        }
        self.loss.mean()
    }
}

/// The phases of a run that starts as `first` says; they begin at different times, the first at 0.
pub(super) fn phases(first: Phase, steps: &[ScheduleStep]) -> Vec<Phase> {
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
        if from_ns == 0 {
            phases.clear();
        }
        phases.push(phase);
    }
    phases
}

/// The entries with each ramp as the steps it is made of.
fn ramped(first: &Phase, steps: &[ScheduleStep]) -> Vec<ScheduleStep> {
    let (mut rate, mut delay) = (first.rate, DurationNs(first.delay_ns));
    let mut all = Vec::with_capacity(steps.len());
    for step in steps {
        let goal = (step.rate.or(rate), step.delay.unwrap_or(delay));
        let ramp_ns = step.ramp.map_or(0, |ramp| ramp.0);
        let count = (ramp_ns / RAMP_STEP_NS_MIN).clamp(1, RAMP_STEPS_MAX);
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
