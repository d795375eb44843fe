//! FlowQueue-CoDel's parameters.

use serde::{Deserialize, Serialize};

use crate::units::{DurationNs, Size, UnitError};

/// FlowQueue-CoDel's parameters (RFC 8290 §5.2; the defaults are Linux's, `tc-fq_codel(8)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FqCoDelSettings {
    /// Sojourn time that packets may have in their queue; above 0. Default 5 ms.
    pub target: DurationNs,
    /// Time for which they may exceed it, about a round trip; above 0. Default 100 ms.
    pub interval: DurationNs,
    /// Bytes on the link that a queue may send before it is the next one's turn; above 0.
    /// Default: the `mtu`. Linux's is 1514, with an Ethernet header, which there is not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantum: Option<Size>,
    /// Number of queues that the flows are hashed to, from 1 to 65536. Default 1024.
    pub flows: u32,
    /// Sojourn time from which on packets that can be marked are, whatever CoDel does
    /// with them. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ce_threshold: Option<DurationNs>,
    /// Marks rather than drops. Default `true`, unlike that of the other disciplines, as in Linux.
    pub ecn: bool,
}

/// The most that Linux takes (`fq_codel_change` in `net/sched/sch_fq_codel.c`).
const FLOWS_MAX: u32 = 65_536;

impl Default for FqCoDelSettings {
    fn default() -> Self {
        Self {
            target: DurationNs(5_000_000),
            interval: DurationNs(100_000_000),
            quantum: None,
            flows: 1024,
            ce_threshold: None,
            ecn: true,
        }
    }
}

impl FqCoDelSettings {
    pub(in crate::impair::queue) fn check(&self) -> Result<(), UnitError> {
        let fail = |message: &str| Err(UnitError::new(message));
        if self.target.0 == 0 || self.interval.0 == 0 {
            return fail(
                "fq-codel's target and interval must be above 0: expected such as \"5ms\"",
            );
        }
        if !(1..=FLOWS_MAX).contains(&self.flows) {
            return fail("fq-codel's flows must be from 1 to 65536");
        }
        if self.quantum == Some(Size(0)) {
            return fail("fq-codel's quantum must be above 0: expected such as \"1500B\"");
        }
        Ok(())
    }
}
