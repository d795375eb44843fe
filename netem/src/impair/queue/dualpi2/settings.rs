//! DualPI2's parameters.

use serde::{Deserialize, Serialize};

use crate::units::{DurationNs, Frequency, Percent, UnitError};

/// DualPI2's parameters (RFC 9332, appendix A; the defaults are those of Linux,
/// `dualpi2_reset_default` in `net/sched/sch_dualpi2.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DualPi2Settings {
    /// Target sojourn time of the classic queue; above 0. Default 15 ms.
    pub target: DurationNs,
    /// Interval between updates of the probability; above 0. Default 16 ms.
    pub update: DurationNs,
    /// Integral gain: growth of the probability at each update for a delay above the target, per
    /// second of it; above 0. Default 0.16 Hz (Linux's is 41/256).
    pub alpha: Frequency,
    /// Proportional gain: its growth for a delay that has become longer, per second of it; above 0.
    /// Default 3.2 Hz (Linux's is 819/256).
    pub beta: Frequency,
    /// The coupling factor `k`: packets of the low-latency queue are marked with `k` times the
    /// probability whose square drops the classic ones; from 1 to 255. Default 2.
    pub coupling: u8,
    /// Sojourn time from which on packets of the low-latency queue are marked. Default
    /// 1 ms.
    pub step: DurationNs,
    /// The classic queue's share of the link while both have something to send, from 0 to
    /// 100 %. Default 10 %.
    pub classic_share: Percent,
    /// Once marking no longer helps (`k` times the probability above 100 %), drops packets of
    /// either queue, whether or not they could be marked; otherwise the queue grows to its
    /// limit. Default `true`.
    pub drop_on_overload: bool,
}

impl Default for DualPi2Settings {
    fn default() -> Self {
        Self {
            target: DurationNs(15_000_000),
            update: DurationNs(16_000_000),
            alpha: Frequency::from_micro_hz(160_000),
            beta: Frequency::from_micro_hz(3_200_000),
            coupling: 2,
            step: DurationNs(1_000_000),
            classic_share: Percent::from_parts(Percent::WHOLE / 10),
            drop_on_overload: true,
        }
    }
}

impl DualPi2Settings {
    pub(in crate::impair::queue) fn check(&self) -> Result<(), UnitError> {
        let fail = |message: &str| Err(UnitError::new(message));
        if self.target.0 == 0 || self.update.0 == 0 {
            return fail("dualpi2's target and update must be above 0: expected such as \"15ms\"");
        }
        if self.alpha.micro_hz() == 0 || self.beta.micro_hz() == 0 {
            return fail("dualpi2's alpha and beta must be above 0: expected such as \"0.16Hz\"");
        }
        if self.coupling == 0 {
            return fail("dualpi2's coupling must be from 1 to 255");
        }
        Ok(())
    }
}
