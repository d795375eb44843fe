//! The congestion window over time, and what it answers to.

use super::Chart;
use super::downsample::Point;
use super::flows::{flow_count, flow_style, series, span_ns, subtitle, times};
use super::picture::{Picture, Shape};
use super::style::Ink;
use super::units::{Quantity, bytes, counted};
use crate::rows::RunRecord;

/// Draws congestion window, bytes in flight, threshold and losses; with many transfers, every
/// window.
#[must_use]
pub(crate) fn picture(record: &RunRecord) -> Picture {
    let span = span_ns(record);
    let mut picture = Picture::new(
        Chart::Cwnd.title(),
        &subtitle(record),
        span,
        Quantity::Bytes,
    );
    let flows = flow_count(record);
    if flows == 1 {
        one_flow(&mut picture, record);
    } else {
        // The first flow is drawn last, on top: it is the one that the legend names first.
        for flow in (0..flows).rev() {
            let (ink, label) = flow_style(flow, flows);
            let window = series(record, flow, |row| row.congestion_window_bytes);
            picture.layer(label, ink, Shape::Line(window));
        }
        picture.reach_all();
    }
    if let Some(product) = bandwidth_delay_product(record) {
        // A product far above the data would flatten everything else.
        // Left out of the axis then, and named in the legend.
        let seen = product <= picture.y.max * 2.5;
        let above = if seen { "" } else { ", above the picture" };
        let label = format!("rate × round trip ({}{above})", bytes(product as u64));
        if seen {
            picture.reach(product);
        }
        picture.layer(label, Ink::Muted, Shape::Reference(product));
    }
    let losses = times(record, |row| row.event == "packet_lost");
    let count = losses.len() as u64;
    picture.event_row(
        counted(count, "loss declared", "losses declared"),
        Ink::Vermillion,
        losses,
    );
    let mistakes = times(record, |row| row.event == "spurious_loss");
    let count = mistakes.len() as u64;
    picture.event_row(
        counted(count, "spurious", "spurious"),
        Ink::Purple,
        mistakes,
    );
    picture
}

fn one_flow(picture: &mut Picture, record: &RunRecord) {
    let in_flight = series(record, 0, |row| row.bytes_in_flight);
    let window = series(record, 0, |row| row.congestion_window_bytes);
    picture.layer("in flight", Ink::Sky, Shape::Band(in_flight));
    picture.layer("congestion window", Ink::Blue, Shape::Line(window));
    picture.reach_all();
    // A threshold that was never set is larger than any window.
    let most = picture.y.max;
    let set: Vec<Point> = series(record, 0, |row| row.ssthresh_bytes)
        .into_iter()
        .filter(|point| point.1 <= most)
        .collect();
    picture.layer("slow-start threshold", Ink::Orange, Shape::Steps(set));
}

/// Returns the bandwidth-delay product, the window that fills the link, in bytes.
fn bandwidth_delay_product(record: &RunRecord) -> Option<f64> {
    Some(record.link_rate_bps? as f64 / 8.0 * record.link_rtt_ns as f64 / 1e9)
}
