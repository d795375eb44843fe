//! Traces: what a connection reports to the [`Observer`](super::observe::Observer).

use super::Connection;
use super::observe::{Metrics, TraceEvent};
use crate::Time;
use crate::time::nanos;

impl Connection {
    /// Reports one event.
    pub(super) fn trace(&self, now: Time, event: &TraceEvent) {
        if let Some(observer) = &self.config.observer {
            observer.observe(now, self.flow, event);
        }
    }

    /// Reports the sender's state.
    pub(super) fn trace_metrics(&self, now: Time) {
        // The rest costs more than the check.
        if self.config.observer.is_none() {
            return;
        }
        let (rtt, controller) = (self.path.rtt(), self.path.controller());
        let known = |duration| rtt.is_sampled().then(|| nanos(duration));
        self.trace(
            now,
            &TraceEvent::MetricsUpdated(Metrics {
                congestion_window_bytes: controller.window_bytes(),
                ssthresh_bytes: controller.ssthresh_bytes(),
                bytes_in_flight: self.recovery.bytes_in_flight(),
                smoothed_rtt_ns: known(rtt.smoothed()),
                latest_rtt_ns: known(rtt.latest()),
                min_rtt_ns: known(rtt.min()),
                pacing_rate_bps: self.path.pacing_rate().map(|rate| rate.saturating_mul(8)),
                rwnd_bytes: self.send.credit_bytes(),
                delivered_bytes: self.send.acked_bytes(),
                pto_count: self.recovery.pto_count(),
                phase: controller.phase(),
            }),
        );
        controller.trace_fields(&mut |name, value| {
            self.trace(now, &TraceEvent::ControllerField { name, value });
        });
    }
}
