//! The validity of a run: whether its numbers may be used.

use lftp_netem::proxy::ProxyReport;

/// The validity of a run's numbers, with the reason.
#[derive(Clone, Debug)]
pub(crate) struct Validity {
    /// True if they may.
    pub valid: bool,
    /// The reason for either.
    pub reason: String,
    /// Lateness of the proxy's departures: median, 99th percentile, maximum, ns.
    pub lateness_ns: [u64; 3],
    /// Packets that the proxy itself dropped.
    pub own_drops: u64,
}

impl Validity {
    /// The validity of a run in virtual time.
    pub(crate) fn of_virtual_time() -> Self {
        Self {
            valid: true,
            reason: "virtual time is never late".to_owned(),
            lateness_ns: [0; 3],
            own_drops: 0,
        }
    }
}

impl From<&ProxyReport> for Validity {
    fn from(report: &ProxyReport) -> Self {
        let late = report.lateness;
        Self {
            valid: report.valid,
            reason: report.reason.clone(),
            // Both directions together: either makes the numbers doubtful.
            lateness_ns: [late.p50_ns, late.p99_ns, late.max_ns],
            own_drops: report.proxy.own_drops(),
        }
    }
}
