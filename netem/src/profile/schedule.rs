//! What changes during a run, and when.

use serde::{Deserialize, Serialize};

use super::{DurationNs, LossModel, Percent, Rate, UnitError};

/// An entry of `[[network.schedule]]`: from `at` on, what it gives is so, until another entry
/// gives it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
}

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
        let nothing = step.rate.is_none()
            && step.delay.is_none()
            && step.loss.is_none()
            && step.blackout_until.is_none();
        if nothing {
            return fail("changes nothing: give it rate, delay, loss or blackout_until".into());
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
    let starts = steps.iter().map(|step| step.at.0);
    let ends = steps.iter().filter_map(|step| step.blackout_until);
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
        phase.blackout = steps.iter().any(|step| {
            let until = step.blackout_until.map_or(0, |until| until.0);
            (step.at.0..until).contains(&from_ns)
        });
        if from_ns == 0 {
            phases.clear();
        }
        phases.push(phase);
    }
    phases
}
