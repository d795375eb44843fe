//! The rates of sent, delivered and new bytes, and the capacity of the link.

use super::Chart;
use super::downsample::Point;
use super::flows::{flow_count, flow_style, series, span_ns, subtitle};
use super::picture::{Picture, Shape};
use super::style::Ink;
use super::units::{Quantity, rate};
use crate::rows::{RunRecord, ThroughputRow};

/// Draws rates over time; with many transfers, the goodput of each.
#[must_use]
pub(crate) fn picture(record: &RunRecord) -> Picture {
    let mut picture = Picture::new(
        Chart::Throughput.title(),
        &subtitle(record),
        span_ns(record),
        Quantity::Rate,
    );
    let rows = &merged(complete(&record.throughput), record.link_rtt_ns);
    let flows = flow_count(record);
    let capacity = rates(rows, |row| row.capacity_bytes);
    let nominal = record
        .link_rate_bps
        .map_or_else(String::new, |bps| format!("{}, ", rate(bps)));
    // Said, because the other lines count payload: the link's line is above what any of them can
    // reach.
    let label = format!("link ({nominal}headers included)");
    picture.layer(label, Ink::Muted, Shape::VaryingReference(capacity));
    if flows == 1 {
        picture.layer(
            "sent",
            Ink::Sky,
            Shape::Line(rates(rows, |row| Some(row.sent_bytes))),
        );
        let delivered = rates(rows, |row| Some(row.delivered_bytes));
        picture.layer("delivered by the link", Ink::Blue, Shape::Line(delivered));
    } else {
        for flow in (0..flows).rev() {
            let (ink, label) = flow_style(flow, flows);
            picture.layer(label, ink, Shape::Line(flow_goodput(record, rows, flow)));
        }
    }
    let (label, ink) = if flows == 1 {
        ("goodput", Ink::Green)
    } else {
        ("all", Ink::Text)
    };
    picture.layer(
        label,
        ink,
        Shape::Line(rates(rows, |row| Some(row.goodput_bytes))),
    );
    if let Some(most) = record.summary.achievable_bps {
        let label = format!("achievable ({})", rate(most));
        picture.layer(label, Ink::Orange, Shape::Reference(most as f64));
    }
    picture.reach_all();
    picture
}

/// Returns the rows without the last interval, which the run's end cuts short.
fn complete(rows: &[ThroughputRow]) -> &[ThroughputRow] {
    // A run of one or two intervals has nothing else to show.
    if rows.len() > 2 {
        &rows[..rows.len() - 1]
    } else {
        rows
    }
}

/// Merges the rows to intervals of at least a round trip, as shorter ones show the bursts of a
/// window and not the rate; but not so long that few are left.
fn merged(rows: &[ThroughputRow], least_ns: u64) -> Vec<ThroughputRow> {
    const FEWEST: usize = 60;
    let interval_ns = rows.first().map_or(1, |row| row.interval_ns.max(1));
    let wanted = usize::try_from(least_ns.div_ceil(interval_ns)).unwrap_or(usize::MAX);
    // A long path has few round trips: rather bursts than a line of three points.
    let together = wanted.clamp(1, (rows.len() / FEWEST).max(1));
    let merge = |part: &[ThroughputRow]| {
        let sum = |pick: fn(&ThroughputRow) -> u64| part.iter().map(pick).sum();
        ThroughputRow {
            t_ns: part[0].t_ns,
            interval_ns: sum(|row| row.interval_ns),
            sent_bytes: sum(|row| row.sent_bytes),
            delivered_bytes: sum(|row| row.delivered_bytes),
            goodput_bytes: sum(|row| row.goodput_bytes),
            capacity_bytes: part.iter().map(|row| row.capacity_bytes).sum(),
            ..ThroughputRow::default()
        }
    };
    rows.chunks(together).map(merge).collect()
}

/// Returns bits a second in the middle of every interval.
fn rates(rows: &[ThroughputRow], bytes: impl Fn(&ThroughputRow) -> Option<u64>) -> Vec<Point> {
    let point = |row: &ThroughputRow| {
        let middle = row.t_ns as f64 + row.interval_ns as f64 / 2.0;
        Some((
            middle,
            bytes(row)? as f64 * 8e9 / row.interval_ns.max(1) as f64,
        ))
    };
    rows.iter().filter_map(point).collect()
}

/// Returns the goodput of one transfer while it lasts, by what was acknowledged.
fn flow_goodput(record: &RunRecord, rows: &[ThroughputRow], flow: u32) -> Vec<Point> {
    let delivered = series(record, flow, |row| row.delivered_bytes);
    let (Some(first), Some(last)) = (delivered.first(), delivered.last()) else {
        return Vec::new();
    };
    let mut rest = delivered.iter().peekable();
    let (mut total, mut before) = (0.0, 0.0);
    let rates = rows.iter().map(|row| {
        let (begin, end) = (row.t_ns as f64, (row.t_ns + row.interval_ns) as f64);
        while let Some(point) = rest.next_if(|point| point.0 < end) {
            total = point.1;
        }
        let bits = (total - before) * 8e9 / row.interval_ns.max(1) as f64;
        before = total;
        // Nothing before its start and after its end: zeros there would look like a stall.
        let lasts = first.0 < end && begin <= last.0;
        lasts.then_some((begin + row.interval_ns as f64 / 2.0, bits))
    });
    rates.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_intervals_lose_no_byte() {
        let row = |at: u64| ThroughputRow {
            t_ns: at * 10,
            interval_ns: 10,
            sent_bytes: at,
            capacity_bytes: Some(7),
            ..ThroughputRow::default()
        };
        let rows: Vec<ThroughputRow> = (0..301).map(row).collect();
        let merged = merged(&rows, 40);
        assert_eq!(merged.len(), 76);
        assert_eq!(merged[1].t_ns, 40);
        assert_eq!(merged[1].capacity_bytes, Some(28));
        assert_eq!(merged[75].interval_ns, 10);
        let sum = |rows: &[ThroughputRow]| rows.iter().map(|row| row.sent_bytes).sum::<u64>();
        assert_eq!(sum(&merged), sum(&rows));
    }
}
