//! The rows of `throughput.csv`: the logs per interval.

use lftp_netem::profile::DirectionProfile;

use super::{FlowLog, LinkLog};
use crate::rows::ThroughputRow;

/// The approximate number of rows of a run of any length.
const ROWS: u64 = 300;

/// Intervals are a multiple of this.
const STEP_NS: u64 = 10_000_000;

/// The length of an interval of a run that took `duration_ns`.
fn interval_ns(duration_ns: u64) -> u64 {
    (duration_ns / ROWS)
        .div_ceil(STEP_NS)
        .saturating_mul(STEP_NS)
        .max(STEP_NS)
}

/// One row per interval, from the start of the run to `end_ns`.
pub(super) fn rows(
    end_ns: u64,
    forward: &DirectionProfile,
    flows: &[FlowLog],
    link: &LinkLog,
) -> Vec<ThroughputRow> {
    let interval_ns = interval_ns(end_ns);
    // One more for the part of an interval at the end.
    let count = end_ns / interval_ns + 1;
    let mut rows: Vec<ThroughputRow> = (0..count)
        .map(|index| {
            let t_ns = index * interval_ns;
            ThroughputRow {
                t_ns,
                interval_ns,
                capacity_bytes: capacity(forward, t_ns, interval_ns),
                ..ThroughputRow::default()
            }
        })
        .collect();
    let mut at = |t_ns: u64, act: &mut dyn FnMut(&mut ThroughputRow)| {
        // Packets still on the link when the run ends arrive behind the last interval.
        if let Some(row) = rows.get_mut((t_ns / interval_ns) as usize) {
            act(row);
        }
    };
    for packet in link
        .rows
        .iter()
        .filter(|packet| packet.direction == "forward")
    {
        let bytes = u64::from(packet.payload_bytes);
        at(packet.t_ns, &mut |row| {
            row.sent_bytes += bytes;
            row.queue_bytes = row.queue_bytes.max(packet.queue_bytes.unwrap_or(0));
            // Apart, because the sender causes the one and the path the other.
            if matches!(packet.fate, "queue-drop" | "early-drop") {
                row.queue_drops += 1;
            } else if packet.delivered_ns.is_none() {
                row.lost_packets += 1;
            }
        });
        if let Some(delivered_ns) = packet.delivered_ns {
            at(delivered_ns, &mut |row| row.delivered_bytes += bytes);
        }
    }
    for flow in flows {
        let mut before = 0;
        for &(t_ns, delivered) in &flow.progress {
            at(t_ns, &mut |row| row.goodput_bytes += delivered - before);
            before = delivered;
        }
    }
    rows
}

/// The capacity of the link in an interval, in steps of a tenth of it where the rate changes.
fn capacity(forward: &DirectionProfile, t_ns: u64, interval_ns: u64) -> Option<u64> {
    let part_ns = interval_ns / 10;
    (0..10).try_fold(0, |sum, part| {
        // Without a rate there is no capacity to draw.
        let rate = forward.rate_bps_at(t_ns + part * part_ns)?;
        Some(sum + (u128::from(rate) * u128::from(part_ns) / 8_000_000_000) as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_any_length_have_some_hundred_rows() {
        for duration_ns in [0, 1, 50_000_000, 6_000_000_000, 3_600_000_000_000] {
            let rows = duration_ns / interval_ns(duration_ns) + 1;
            assert!(rows <= ROWS + 1, "{duration_ns} ns make {rows} rows");
        }
    }
}
