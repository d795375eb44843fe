//! The log of the senders, from the transport's [`Observer`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lftp_transport::{FlowId, LossTrigger, Metrics, Observer, Time, TraceEvent};
use sha2::{Digest, Sha256};

use super::Detail;
use crate::rows::TraceRow;

/// The connections of one side, each with its log. A clone is another handle to the same log.
#[derive(Clone, Debug)]
pub(crate) struct SenderLog {
    detail: Detail,
    flows: Arc<Mutex<Flows>>,
}

/// The logs in the order of their connections' first events, and the index of each.
#[derive(Debug, Default)]
struct Flows {
    logs: Vec<FlowLog>,
    places: HashMap<FlowId, usize>,
    /// The connection of the last event, which mostly has the next one as well.
    last: Option<(FlowId, usize)>,
}

impl Flows {
    fn log_of(&mut self, flow: FlowId, make: impl FnOnce() -> FlowLog) -> &mut FlowLog {
        let place = match self.last {
            // Without the map: events come in runs of one connection.
            Some((last, place)) if last == flow => place,
            _ => *self.places.entry(flow).or_insert_with(|| {
                self.logs.push(make());
                self.logs.len() - 1
            }),
        };
        self.last = Some((flow, place));
        &mut self.logs[place]
    }
}

/// The log of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct FlowLog {
    /// The transfer it belongs to, if known.
    pub transfer: Option<usize>,
    /// The time of its first event.
    pub started_ns: u64,
    /// Packets sent that elicit an acknowledgement.
    pub packets_sent: u64,
    /// Of those, the ones with stream bytes sent before.
    pub packets_retransmitted: u64,
    /// Stream bytes sent, retransmissions included.
    pub stream_bytes_sent: u64,
    /// Losses declared that were none.
    pub spurious: u64,
    /// Stream bytes acknowledged, over time.
    pub progress: Vec<(u64, u64)>,
    /// Round-trip samples, one for each acknowledgement that brought one.
    pub rtt_ns: Vec<u64>,
    /// Every event, where rows are kept.
    pub rows: Vec<TraceRow>,
    pub(super) hash: Sha256,
    pub(super) last_metrics: Metrics,
}

impl SenderLog {
    /// An empty log.
    pub(crate) fn new(detail: Detail) -> Self {
        Self {
            detail,
            flows: Arc::default(),
        }
    }

    /// The observer to put into a transport's configuration.
    pub(crate) fn tap(&self) -> Arc<Tap> {
        self.tap_for(None)
    }

    /// The observer for the connections of one transfer.
    pub(crate) fn tap_of(&self, transfer: usize) -> Arc<Tap> {
        self.tap_for(Some(transfer))
    }

    fn tap_for(&self, transfer: Option<usize>) -> Arc<Tap> {
        Arc::new(Tap {
            log: self.clone(),
            transfer,
        })
    }

    /// The `count` connections that sent most, in the order of the transfers, or where that
    /// is not known of their beginning: the ones with the files.
    pub(crate) fn take_data_flows(&self, count: usize) -> Vec<FlowLog> {
        let mut flows = std::mem::take(&mut *self.lock()).logs;
        // Control connections send little: the largest are those with the files.
        flows.sort_by_key(|log| std::cmp::Reverse(log.stream_bytes_sent));
        // Sorted again by transfer, as the rows of all files are.
        flows.truncate(count);
        flows.sort_by_key(|log| (log.transfer, log.started_ns));
        flows
    }

    fn lock(&self) -> MutexGuard<'_, Flows> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The observer of the connections of one side.
#[derive(Debug)]
pub(crate) struct Tap {
    log: SenderLog,
    transfer: Option<usize>,
}

impl Observer for Tap {
    fn observe(&self, now: Time, flow: FlowId, event: &TraceEvent) {
        let t_ns = now.as_nanos();
        let make = || FlowLog {
            transfer: self.transfer,
            started_ns: t_ns,
            ..FlowLog::default()
        };
        self.log
            .lock()
            .log_of(flow, make)
            .on_event(t_ns, event, self.log.detail);
    }
}

impl FlowLog {
    fn on_event(&mut self, t_ns: u64, event: &TraceEvent, detail: Detail) {
        let row = match *event {
            TraceEvent::MetricsUpdated(metrics) => self.on_metrics(t_ns, &metrics),
            TraceEvent::PacketSent {
                packet_number,
                bytes,
                offset,
                length,
                retransmission,
            } => {
                self.packets_sent += 1;
                self.packets_retransmitted += u64::from(retransmission);
                self.stream_bytes_sent += u64::from(length);
                self.hash_numbers(
                    1,
                    t_ns,
                    &[packet_number, offset.unwrap_or(0), length.into()],
                );
                TraceRow {
                    event: "packet_sent",
                    packet_number: Some(packet_number),
                    packet_bytes: Some(bytes),
                    offset,
                    length: Some(length),
                    detail: if retransmission { "again" } else { "first" },
                    ..TraceRow::default()
                }
            }
            TraceEvent::PacketLost {
                packet_number,
                bytes,
                trigger,
            } => {
                self.hash_numbers(2, t_ns, &[packet_number, trigger as u64]);
                TraceRow {
                    event: "packet_lost",
                    packet_number: Some(packet_number),
                    packet_bytes: Some(bytes),
                    detail: trigger_name(trigger),
                    ..TraceRow::default()
                }
            }
            TraceEvent::SpuriousLoss { packet_number } => {
                self.spurious += 1;
                self.hash_numbers(3, t_ns, &[packet_number]);
                TraceRow {
                    event: "spurious_loss",
                    packet_number: Some(packet_number),
                    ..TraceRow::default()
                }
            }
            TraceEvent::Established => TraceRow {
                event: "established",
                ..TraceRow::default()
            },
            TraceEvent::Closed => TraceRow {
                event: "closed",
                ..TraceRow::default()
            },
            // Events of the receiving side, and any that a later version adds.
            _ => return,
        };
        if detail == Detail::Full {
            self.rows.push(TraceRow { t_ns, ..row });
        }
    }

    fn on_metrics(&mut self, t_ns: u64, metrics: &Metrics) -> TraceRow {
        let last = self.last_metrics;
        // Only where something new was acknowledged: other updates repeat the last round trip.
        if metrics.delivered_bytes > last.delivered_bytes {
            self.progress.push((t_ns, metrics.delivered_bytes));
            self.rtt_ns.extend(metrics.latest_rtt_ns);
        }
        self.last_metrics = *metrics;
        // Not 0, which is a value of its own.
        let known = |value: Option<u64>| value.unwrap_or(u64::MAX);
        self.hash_numbers(
            0,
            t_ns,
            &[
                metrics.congestion_window_bytes,
                known(metrics.ssthresh_bytes),
                metrics.bytes_in_flight,
                known(metrics.smoothed_rtt_ns),
                known(metrics.pacing_rate_bps),
                metrics.delivered_bytes,
            ],
        );
        TraceRow {
            event: "metrics_updated",
            congestion_window_bytes: Some(metrics.congestion_window_bytes),
            ssthresh_bytes: metrics.ssthresh_bytes,
            bytes_in_flight: Some(metrics.bytes_in_flight),
            smoothed_rtt_ns: metrics.smoothed_rtt_ns,
            latest_rtt_ns: metrics.latest_rtt_ns,
            min_rtt_ns: metrics.min_rtt_ns,
            pacing_rate_bps: metrics.pacing_rate_bps,
            rwnd_bytes: Some(metrics.rwnd_bytes),
            delivered_bytes: Some(metrics.delivered_bytes),
            pto_count: Some(metrics.pto_count),
            phase: metrics.phase,
            ..TraceRow::default()
        }
    }

    fn hash_numbers(&mut self, kind: u8, t_ns: u64, numbers: &[u64]) {
        self.hash.update([kind]);
        self.hash.update(t_ns.to_le_bytes());
        for number in numbers {
            self.hash.update(number.to_le_bytes());
        }
    }

    /// The hash of all events.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }
}

const fn trigger_name(trigger: LossTrigger) -> &'static str {
    match trigger {
        LossTrigger::PacketThreshold => "packet-threshold",
        LossTrigger::TimeThreshold => "time-threshold",
        LossTrigger::Timeout => "timeout",
        _ => "other",
    }
}
