//! The bottleneck's queue over time, and the packets that were lost there and after it.

use super::Chart;
use super::downsample::Point;
use super::flows::{lost_on_the_wire, outcome_times, span_ns, subtitle};
use super::picture::{Axis, Picture, Shape};
use super::style::Ink;
use super::units::{Quantity, bytes, counted};
use crate::rows::RunRecord;

/// Draws the depth in bytes, on the right the time that it takes to send them; limit, drops and
/// losses.
#[must_use]
pub(crate) fn picture(record: &RunRecord) -> Picture {
    let mut picture = Picture::new(
        Chart::Queue.title(),
        &subtitle(record),
        span_ns(record),
        Quantity::Bytes,
    );
    picture.layer("waiting", Ink::Blue, Shape::Band(depth(record)));
    picture.reach_all();
    if let Some(limit) = record.queue_limit_bytes {
        // A limit far above the data would flatten it.
        let seen = limit as f64 <= picture.y.max * 5.0;
        let above = if seen { "" } else { ", above the picture" };
        if seen {
            picture.reach(limit as f64);
        }
        let label = format!("limit ({}{above})", bytes(limit));
        picture.layer(label, Ink::Muted, Shape::Reference(limit as f64));
    }
    if let Some(rate) = record.link_rate_bps.filter(|&rate| rate > 0) {
        // The initial rate for the whole run: an axis cannot change with the schedule.
        let max = picture.y.max * 8e9 / rate as f64;
        picture.right = Some(Axis::from_zero(Quantity::Time, max));
    }
    let drops = outcome_times(record, |outcome| outcome == "queue-drop");
    let count = drops.len() as u64;
    picture.event_row(
        counted(count, "drop by the queue", "drops by the queue"),
        Ink::Vermillion,
        drops,
    );
    let losses = outcome_times(record, lost_on_the_wire);
    let count = losses.len() as u64;
    picture.event_row(
        counted(count, "loss on the wire", "losses on the wire"),
        Ink::Purple,
        losses,
    );
    picture
}

/// Returns the queue found by every packet; without packet records, the maximum of every interval.
fn depth(record: &RunRecord) -> Vec<Point> {
    if record.packets.is_empty() {
        let rows = record.throughput.iter();
        return rows
            .map(|row| (row.t_ns as f64, row.queue_bytes as f64))
            .collect();
    }
    let forward = record
        .packets
        .iter()
        .filter(|row| row.direction == "forward");
    forward
        .filter_map(|row| Some((row.t_ns as f64, row.queue_bytes? as f64)))
        .collect()
}
