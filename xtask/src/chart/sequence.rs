//! The stream over time: transmissions, retransmissions, and the bytes acknowledged.

use super::Chart;
use super::downsample::Point;
use super::flows::{flow_count, flow_style, series, span_ns, subtitle};
use super::picture::{Axis, Corner, Detail, Layer, Picture, Shape, highest};
use super::style::Ink;
use super::units::{Quantity, counted};
use crate::rows::RunRecord;

/// Draws the offsets of first transmissions and retransmissions, and the bytes acknowledged; with
/// many transfers, the bytes acknowledged of each.
#[must_use]
pub(crate) fn picture(record: &RunRecord) -> Picture {
    let mut picture = Picture::new(
        Chart::Sequence.title(),
        &subtitle(record),
        span_ns(record),
        Quantity::Bytes,
    );
    let flows = flow_count(record);
    if flows > 1 {
        for flow in (0..flows).rev() {
            let (ink, label) = flow_style(flow, flows);
            let delivered = series(record, flow, |row| row.delivered_bytes);
            picture.layer(label, ink, Shape::Line(delivered));
        }
        picture.reach_all();
        return picture;
    }
    let (first, retransmitted) = (sent(record, "first"), sent(record, "again"));
    let delivered = series(record, 0, |row| row.delivered_bytes);
    let times = retransmitted.iter().map(|point| point.0).collect();
    let label = format!(
        "{} retransmitted",
        counted(retransmitted.len() as u64, "packet", "packets")
    );
    picture.event_row(label, Ink::Vermillion, times);
    let detail = detail(record, [&first, &retransmitted, &delivered]);
    // Retransmissions lie so close to the line that they show only where they are late.
    picture.layer("", Ink::Vermillion, Shape::Dots(retransmitted));
    picture.layer("first transmission", Ink::Blue, Shape::Line(first));
    picture.layer("acknowledged", Ink::Green, Shape::Line(delivered));
    picture.reach_all();
    picture.detail = detail;
    picture
}

/// Returns the packets around the middle one of all retransmissions.
fn detail(record: &RunRecord, [first, retransmitted, delivered]: [&[Point]; 3]) -> Option<Detail> {
    // The middle of the retransmissions, not of the run: the detail is there to show one.
    let middle = retransmitted.get(retransmitted.len() / 2)?.0;
    let whole = span_ns(record);
    let x = window([first, retransmitted], middle, record.link_rtt_ns, whole)?;
    let part = |points: &[Point]| -> Vec<Point> { within(&x, points).copied().collect() };
    let (first, retransmitted) = (part(first), part(retransmitted));
    let values = || first.iter().chain(&retransmitted).map(|point| point.1);
    let (low, high) = (
        values().fold(f64::MAX, f64::min),
        values().fold(0.0, f64::max),
    );
    let room = (high - low) * 0.06;
    let y = Axis {
        quantity: Quantity::Bytes,
        min: (low - room).max(0.0),
        max: high + room,
    };
    let corner = free_corner(delivered, whole)?;
    let layer = |ink, shape| Layer {
        label: String::new(),
        ink,
        shape,
    };
    let layers = vec![
        layer(Ink::Green, Shape::Line(part(delivered))),
        layer(Ink::Blue, Shape::Dots(first)),
        layer(Ink::Vermillion, Shape::Dots(retransmitted)),
    ];
    // Packets at one offset, as of a FIN alone, have no vertical axis.
    (high > low).then_some(Detail {
        corner,
        x,
        y,
        layers,
    })
}

/// Returns six round trips around the middle, or as many more as it takes to see some packets;
/// `None` where that would be most of the run.
fn window(sent: [&[Point]; 2], middle: f64, link_rtt_ns: u64, whole: f64) -> Option<Axis> {
    const ROUND_TRIPS: f64 = 6.0;
    const PACKETS: usize = 40;
    let mut length = link_rtt_ns.max(1_000_000) as f64 * ROUND_TRIPS;
    // No more than a third: beyond that the detail would be the picture again.
    while length <= whole / 3.0 {
        let min = (middle - length / 2.0).clamp(0.0, whole - length);
        let axis = Axis {
            quantity: Quantity::Time,
            min,
            max: min + length,
        };
        let packets: usize = sent
            .iter()
            .map(|points| within(&axis, points).count())
            .sum();
        if packets >= PACKETS {
            return Some(axis);
        }
        length *= 1.5;
    }
    None
}

fn within<'a>(axis: &Axis, points: &'a [Point]) -> impl Iterator<Item = &'a Point> {
    let range = axis.min..=axis.max;
    points.iter().filter(move |point| range.contains(&point.0))
}

/// Returns the corner that the line does not reach.
fn free_corner(line: &[Point], span: f64) -> Option<Corner> {
    let most = highest(line);
    // With a little room around the detail's edges.
    let low_right = |point: &&Point| point.0 > span * 0.52 && point.1 < most * 0.48;
    let high_left = |point: &&Point| point.0 < span * 0.48 && point.1 > most * 0.53;
    let none = |within: &dyn Fn(&&Point) -> bool| line.iter().find(within).is_none();
    // A steady transfer leaves the lower right free, one that starts slowly the upper left.
    match (none(&low_right), none(&high_left)) {
        (true, _) => Some(Corner::LowerRight),
        (false, true) => Some(Corner::UpperLeft),
        (false, false) => None,
    }
}

fn sent(record: &RunRecord, detail: &str) -> Vec<Point> {
    let rows = record.trace.iter();
    rows.filter(|row| row.event == "packet_sent" && row.detail == detail && row.length != Some(0))
        .filter_map(|row| Some((row.t_ns as f64, row.offset? as f64)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detail_grows_until_it_shows_something() {
        let points = |step: u64| -> Vec<Point> {
            (0..1_000)
                .map(|at| ((at * step) as f64, at as f64))
                .collect()
        };
        let length = |step: u64| {
            let axis = window([&points(step), &[]], 500.0 * step as f64, 10_000_000, 60e9)?;
            Some(axis.max - axis.min)
        };
        assert_eq!(length(1_000_000), Some(60e6));
        assert_eq!(length(10_000_000), Some(60e6 * 1.5_f64.powi(5)));
        assert_eq!(length(60_000_000_000), None);
    }

    #[test]
    fn the_detail_goes_where_the_line_is_not() {
        let line = |height: fn(f64) -> f64| -> Vec<Point> {
            (0..=100)
                .map(|at| (f64::from(at), height(f64::from(at))))
                .collect()
        };
        let steady = line(|at| at);
        let slow_at_first = line(|at| at * at);
        let wild = line(|at| {
            if (40.0..60.0).contains(&at) {
                10_000.0 - at
            } else {
                at
            }
        });
        assert_eq!(free_corner(&steady, 100.0), Some(Corner::LowerRight));
        assert_eq!(free_corner(&slow_at_first, 100.0), Some(Corner::UpperLeft));
        assert_eq!(free_corner(&wild, 100.0), None);
    }
}
