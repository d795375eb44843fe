//! Series out of a record's rows.

use super::downsample::Point;
use super::style::{Ink, SERIES};
use crate::rows::{RunRecord, TraceRow};

/// Returns the length of the run: the time of the last record, in nanoseconds.
#[must_use]
pub(crate) fn span_ns(record: &RunRecord) -> f64 {
    let last = [
        record.trace.last().map(|row| row.t_ns),
        record
            .packets
            .iter()
            // The last packet may arrive after the last event of the sender.
            .filter_map(|row| row.delivered_ns.or(Some(row.t_ns)))
            .max(),
        record.throughput.last().map(|row| row.t_ns),
    ];
    last.into_iter()
        .flatten()
        .max()
        .unwrap_or(record.summary.duration_ns)
        .max(1) as f64
}

/// Returns the subtitle, which names the run.
#[must_use]
pub(crate) fn subtitle(record: &RunRecord) -> String {
    let summary = &record.summary;
    let mut text = format!(
        "{}  ·  {} clock, seed {}  ·  {}",
        summary.scenario, summary.clock, summary.seed, summary.congestion
    );
    for extra in [Some(&summary.recovery), summary.peer.as_ref()]
        .into_iter()
        .flatten()
    {
        if !extra.is_empty() {
            text.push_str(", ");
            text.push_str(extra);
        }
    }
    text
}

/// Returns the number of transfers.
#[must_use]
pub(crate) fn flow_count(record: &RunRecord) -> u32 {
    record
        .trace
        .iter()
        .map(|row| row.flow + 1)
        .max()
        .unwrap_or(1)
}

/// Returns a flow's values over time, where they are known.
pub(crate) fn series(
    record: &RunRecord,
    flow: u32,
    value: impl Fn(&TraceRow) -> Option<u64>,
) -> Vec<Point> {
    let rows = record.trace.iter().filter(|row| row.flow == flow);
    rows.filter_map(|row| Some((row.t_ns as f64, value(row)? as f64)))
        .collect()
}

/// Returns the times of a kind of event, of any flow.
pub(crate) fn times(record: &RunRecord, wanted: impl Fn(&TraceRow) -> bool) -> Vec<f64> {
    record
        .trace
        .iter()
        .filter(|row| wanted(row))
        .map(|row| row.t_ns as f64)
        .collect()
}

/// Returns the times of a kind of outcome, of packets in the direction of the data.
pub(crate) fn outcome_times(record: &RunRecord, wanted: impl Fn(&str) -> bool) -> Vec<f64> {
    let rows = record
        .packets
        .iter()
        .filter(|row| row.direction == "forward");
    rows.filter(|row| wanted(row.fate))
        .map(|row| row.t_ns as f64)
        .collect()
}

/// Returns true for a loss on the wire: neither delivered nor dropped by the queue.
#[must_use]
pub(crate) fn lost_on_the_wire(outcome: &str) -> bool {
    !matches!(
        outcome,
        "delivered" | "duplicate" | "corrupted" | "queue-drop"
    )
}

/// Returns the colour of a flow, and its name where the legend has room for one.
#[must_use]
pub(crate) fn flow_style(flow: u32, count: u32) -> (Ink, String) {
    let ink = SERIES[flow as usize % SERIES.len()];
    let label = match (count as usize <= SERIES.len(), flow) {
        (true, _) => format!("transfer {}", flow + 1),
        (false, 0) => format!("each of {count} transfers"),
        (false, _) => String::new(),
    };
    (ink, label)
}
