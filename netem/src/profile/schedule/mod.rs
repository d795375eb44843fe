//! The schedule: changes during a run.
//!
//! An entry is what a scenario writes; [`phases()`] makes of all entries what a link follows.

mod csv;
mod phases;

use serde::{Deserialize, Serialize};

pub(crate) use self::phases::phases;
pub use self::{csv::ScheduleCsvError, phases::Phase};
use crate::{
    impair::loss::LossModel,
    units::{DurationNs, Rate, UnitError},
};

/// An entry of `[[network.schedule]]`: from `at` on, what it gives is so, until another entry
/// gives it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ScheduleStep {
    /// Time from the start of the run. Entries stand in order of time.
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
    /// End of a blackout, from the start of the run: until then every packet that comes to the wire
    /// is lost. What is on the wire arrives; the queue keeps sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blackout_until: Option<DurationNs>,
    /// End of a pause, from the start of the run: until then the bottleneck sends nothing and packets wait, as in a
    /// handover, where the next entry may say what the new cell is like. Needs a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_until: Option<DurationNs>,
    /// Time in which rate and delay go from `at` on to what is given here, evenly, in a hundred
    /// steps but none shorter than 1 ms. It is over before the next entry. Default: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<DurationNs>,
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
        if let Some(until) = step.pause_until
            && until <= step.at
        {
            return fail(format!("has a pause until {until}, before it begins"));
        }
        if let Some(ramp) = step.ramp {
            if step.rate.is_none() && step.delay.is_none() {
                return fail("has a ramp without a target: give it rate or delay".into());
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
