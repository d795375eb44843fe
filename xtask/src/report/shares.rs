//! The shares of the bytes on the link and of the time of the transfer.

use crate::rows::{PacketRow, RunRecord};

/// A share of the bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Share {
    /// Its label.
    pub(crate) name: &'static str,
    /// Its colour, by the name of the style class.
    pub(crate) class: &'static str,
    /// Bytes on the link.
    pub(crate) bytes: u64,
}

/// A stretch of the transfer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stretch {
    /// Its label.
    pub(crate) name: &'static str,
    /// Its colour, by the name of the style class.
    pub(crate) class: &'static str,
    /// Its duration.
    pub(crate) took_ns: u64,
    /// The duration of its bytes at the achievable rate.
    pub(crate) ideal_ns: Option<u64>,
}

/// The shares of the bytes on the link, both directions; empty if no packets were recorded.
pub(crate) fn bytes(record: &RunRecord) -> Vec<Share> {
    let sum = |wanted: &dyn Fn(&PacketRow) -> bool| -> u64 {
        let rows = record
            .packets
            .iter()
            // A copy is the link's own doing: no host has sent it.
            .filter(|row| row.fate != "duplicate" && wanted(row));
        rows.map(|row| u64::from(row.link_bytes)).sum()
    };
    let forward = |row: &PacketRow| row.direction == "forward";
    let arrived = |row: &PacketRow| matches!(row.fate, "delivered" | "corrupted");
    let dropped = |row: &PacketRow| matches!(row.fate, "queue-drop" | "early-drop");
    let useful = useful_bytes(record);
    let share = |name, class, bytes| Share { name, class, bytes };
    let mut shares = vec![
        share("file, once", "green", useful),
        share("received twice", "orange", record.summary.redundant_bytes),
        share(
            "lost on the wire",
            "purple",
            sum(&|row| forward(row) && !arrived(row) && !dropped(row)),
        ),
        share(
            "dropped by the queue",
            "vermillion",
            sum(&|row| forward(row) && dropped(row)),
        ),
        share(
            "reverse direction: acknowledgements",
            "sky",
            sum(&|row| !forward(row)),
        ),
    ];
    let known: u64 = shares.iter().map(|share| share.bytes).sum();
    // The rest, so that the parts make up the whole: headers, messages and handshakes are not told
    // apart.
    let headers = sum(&|_| true).saturating_sub(known);
    shares.push(share("headers and the rest", "grey", headers));
    if record.packets.is_empty() {
        Vec::new()
    } else {
        shares
    }
}

/// Stream bytes that arrived, each counted once.
fn useful_bytes(record: &RunRecord) -> u64 {
    if record.summary.intact {
        record.summary.bytes
    } else {
        delivered(record).1
    }
}

/// Every step of the bytes acknowledged, over all flows, and their sum.
fn delivered(record: &RunRecord) -> (Vec<(u64, u64)>, u64) {
    let mut before: Vec<u64> = Vec::new();
    let mut steps = Vec::new();
    let mut total = 0;
    for row in &record.trace {
        let Some(bytes) = row.delivered_bytes else {
            continue;
        };
        let flow = row.flow as usize;
        if before.len() <= flow {
            before.resize(flow + 1, 0);
        }
        if bytes > before[flow] {
            total += bytes - before[flow];
            before[flow] = bytes;
            steps.push((row.t_ns, total));
        }
    }
    (steps, total)
}

/// The transfer in four stretches; empty if it did not finish.
pub(crate) fn stretches(record: &RunRecord) -> Vec<Stretch> {
    let bytes = record.summary.bytes;
    let (steps, total) = delivered(record);
    // Unfinished: it has no last stretch, and the others would look complete.
    if total < bytes || bytes == 0 {
        return Vec::new();
    }
    let reached = |least: u64| steps.iter().find(|step| step.1 >= least).map(|step| step.0);
    // The same marks as the summary's steady part, so that both speak of the same stretch.
    let marks = [reached(1), reached(bytes / 5), reached(bytes / 20 * 19)];
    let [Some(first), Some(fifth), Some(most)] = marks else {
        return Vec::new();
    };
    let end = record.summary.duration_ns.max(most);
    let ideal = |part: u64| {
        let rate = record.summary.achievable_bps.filter(|&rate| rate > 0)?;
        let ns = u128::from(part) * 8_000_000_000 / u128::from(rate);
        u64::try_from(ns).ok()
    };
    let stretch = |name, class, took_ns, part| Stretch {
        name,
        class,
        took_ns,
        ideal_ns: ideal(part),
    };
    vec![
        stretch("to the first byte", "grey", first, 0),
        stretch("first 20 %", "orange", fifth - first, bytes / 5),
        stretch("20 % to 95 %", "green", most - fifth, bytes / 4 * 3),
        stretch("last 5 %", "purple", end - most, bytes / 20),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::TraceRow;

    fn packet(direction: &'static str, fate: &'static str, link_bytes: u32) -> PacketRow {
        PacketRow {
            direction,
            fate,
            link_bytes,
            ..PacketRow::default()
        }
    }

    #[test]
    fn every_byte_on_the_link_is_counted_once() {
        let mut record = RunRecord {
            packets: vec![
                packet("forward", "delivered", 1_500),
                packet("forward", "duplicate", 1_500),
                packet("forward", "lost-wire", 1_400),
                packet("forward", "queue-drop", 1_300),
                packet("reverse", "delivered", 60),
                packet("reverse", "lost-burst", 40),
            ],
            ..RunRecord::default()
        };
        record.summary.intact = true;
        record.summary.bytes = 1_440;
        let bytes: Vec<u64> = bytes(&record).iter().map(|share| share.bytes).collect();
        assert_eq!(bytes, [1_440, 0, 1_400, 1_300, 100, 60]);
    }

    #[test]
    fn the_stretches_add_up_to_the_run() {
        let row = |at: u64| TraceRow {
            t_ns: at * 10,
            delivered_bytes: Some(at),
            ..TraceRow::default()
        };
        let mut record = RunRecord {
            trace: (0..=100).map(row).collect(),
            ..RunRecord::default()
        };
        record.summary.bytes = 100;
        record.summary.duration_ns = 1_100;
        let took: Vec<u64> = stretches(&record)
            .iter()
            .map(|stretch| stretch.took_ns)
            .collect();
        assert_eq!(took, [10, 190, 750, 150]);
        record.summary.bytes = 101;
        assert!(stretches(&record).is_empty(), "it did not reach its end");
    }
}
