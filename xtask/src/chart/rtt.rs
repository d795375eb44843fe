//! Round-trip times over time.

use super::Chart;
use super::flows::{flow_count, flow_style, series, span_ns, subtitle};
use super::picture::{Picture, Shape};
use super::style::Ink;
use super::units::{Quantity, counted, time};
use crate::rows::RunRecord;

/// Draws every sample, the smoothed and the least round trip; with many transfers, the smoothed
/// one of each.
#[must_use]
pub(crate) fn picture(record: &RunRecord) -> Picture {
    let mut picture = Picture::new(
        Chart::Rtt.title(),
        &subtitle(record),
        span_ns(record),
        Quantity::Time,
    );
    let flows = flow_count(record);
    if flows == 1 {
        picture.layer(
            "samples",
            Ink::Sky,
            // A cloud, since a line between samples would be an area of colour.
            Shape::Cloud(series(record, 0, |row| row.latest_rtt_ns)),
        );
        picture.layer(
            "least",
            Ink::Green,
            Shape::Steps(series(record, 0, |row| row.min_rtt_ns)),
        );
        let smoothed = series(record, 0, |row| row.smoothed_rtt_ns);
        picture.layer("smoothed", Ink::Blue, Shape::Line(smoothed));
    } else {
        for flow in (0..flows).rev() {
            let (ink, label) = flow_style(flow, flows);
            let smoothed = series(record, flow, |row| row.smoothed_rtt_ns);
            picture.layer(label, ink, Shape::Line(smoothed));
        }
    }
    if record.link_rtt_ns > 0 {
        let label = format!("the link's own ({})", time(record.link_rtt_ns));
        picture.layer(
            label,
            Ink::Muted,
            Shape::Reference(record.link_rtt_ns as f64),
        );
    }
    picture.reach_all();
    let timeouts: Vec<f64> = (0..flows).flat_map(|flow| timeouts(record, flow)).collect();
    let count = timeouts.len() as u64;
    picture.event_row(
        counted(count, "timeout", "timeouts"),
        Ink::Vermillion,
        timeouts,
    );
    picture
}

/// Returns the times at which a flow's count of timeouts rose.
fn timeouts(record: &RunRecord, flow: u32) -> Vec<f64> {
    let counts = series(record, flow, |row| row.pto_count.map(u64::from));
    // A fall is an acknowledgement, which resets the count.
    let rises = counts.windows(2).filter(|pair| pair[1].1 > pair[0].1);
    rises.map(|pair| pair[1].0).collect()
}
