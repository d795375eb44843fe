//! The growth of a virtual run's cost with the number of flows, and with the bandwidth-delay
//! product.
//!
//! Both start from a scenario. Flows: up to 1,000 transfers of [`FLOW_BYTES`], each with
//! [`FLOW_RATE_BPS`] of a link that grows with them. Product: one transfer over a link whose rate
//! grows, of so many products that the start does not count for much.

use std::path::Path;

use serde::Serialize;

use super::{Lap, Speed};
use crate::chart::{self, Growth, Panel};
use crate::error::CommandError;
use crate::scenario;
use crate::table::{Column, Table};

const FLOWS: [u64; 7] = [1, 3, 10, 30, 100, 300, 1000];
const FLOW_RATE_BPS: u64 = 10_000_000;
const FLOW_BYTES: u64 = 1 << 20;

const RATES_BPS: [u64; 7] = [
    3_000_000,
    10_000_000,
    30_000_000,
    100_000_000,
    300_000_000,
    1_000_000_000,
    3_000_000_000,
];
/// A file is so many products long,
const PRODUCTS: u64 = 40;
/// but no shorter than this.
const FILE_BYTES_MIN: u64 = 4 << 20;

/// The nominal size of a packet on the link, bytes.
const PACKET_BYTES: u64 = 1_250;
/// Processor time after which a point is measured well enough.
const ENOUGH_NS: u128 = 1_000_000_000;
/// The target for a packet event: a million a second.
const BOUND_NS: f64 = 1_000.0;

const TABLE: Table<6> = Table::new([
    Column::left("grows", 8),
    Column::right("flows", 5),
    Column::right("link, Mbit/s", 12),
    Column::right("product, packets", 16),
    Column::right("packet events", 13),
    Column::right("events a second", 15),
]);

/// One point, as in the table.
#[derive(Debug, Serialize)]
struct Row {
    /// The quantity that grows: `flows` or `product`.
    grows: &'static str,
    flows: u64,
    rate_bps: u64,
    rtt_ns: u64,
    /// Bandwidth-delay product, in packets of 1,250 bytes.
    product_packets: u64,
    file_bytes: u64,
    runs: u64,
    packet_events: u64,
    virtual_ns: u64,
    processor_ns: u64,
    ns_per_event: f64,
    events_per_s: f64,
}

/// The parameters of a point.
struct Point {
    grows: &'static str,
    flows: u64,
    rate_bps: u64,
    file_bytes: u64,
}

/// Measures both, prints them, and writes `growth.csv`, `growth.svg` and `growth.png` into `out`.
pub(super) fn measure(speed: &Speed, name: &str, out: &Path) -> Result<(), CommandError> {
    let rtt_ns = scenario::load(name, &speed.changes)?
        .network
        .round_trip_ns();
    let flows = FLOWS.map(|flows| Point {
        grows: "flows",
        flows,
        rate_bps: flows * FLOW_RATE_BPS,
        file_bytes: FLOW_BYTES,
    });
    let products = RATES_BPS.map(|rate_bps| Point {
        grows: "product",
        flows: 1,
        rate_bps,
        file_bytes: (PRODUCTS * product_bytes(rate_bps, rtt_ns)).max(FILE_BYTES_MIN),
    });
    lftp_console::outln!("{}", TABLE.heading())?;
    let mut rows = Vec::new();
    for point in flows.iter().chain(&products) {
        let row = point.measure(speed, name, rtt_ns)?;
        let line = TABLE.row([
            row.grows.to_owned(),
            row.flows.to_string(),
            (row.rate_bps / 1_000_000).to_string(),
            row.product_packets.to_string(),
            row.packet_events.to_string(),
            format!("{:.0}", row.events_per_s),
        ]);
        lftp_console::outln!("{line}")?;
        rows.push(row);
    }
    std::fs::create_dir_all(out).map_err(|error| CommandError::file(out, error))?;
    write_csv(&out.join("growth.csv"), &rows)?;
    chart::write_growth(out, growth(name, &rows))
        .map_err(|error| CommandError::file(out, error))?;
    lftp_console::outln!("{}", out.join("growth.svg").display())?;
    Ok(())
}

impl Point {
    fn measure(&self, speed: &Speed, name: &str, rtt_ns: u64) -> Result<Row, CommandError> {
        let mut changes = speed.changes.clone();
        changes.push(format!("network.rate={}bit", self.rate_bps));
        changes.push(format!("transfer.size={}B", self.file_bytes));
        let scenario = scenario::load(name, &changes)?.with_flows(self.flows);
        let mut laps: Vec<Lap> = Vec::new();
        while laps.iter().map(|lap| lap.took.as_nanos()).sum::<u128>() < ENOUGH_NS {
            let seed = laps.len() as u64 + 1;
            laps.push(Lap::run(&scenario, seed)?);
        }
        let packet_events = laps.iter().map(|lap| lap.events).sum();
        let nanos = |duration: std::time::Duration| duration.as_nanos() as u64;
        let processor_ns = laps.iter().map(|lap| nanos(lap.took)).sum();
        let ns_per_event = processor_ns as f64 / packet_events as f64;
        Ok(Row {
            grows: self.grows,
            flows: self.flows,
            rate_bps: self.rate_bps,
            rtt_ns,
            product_packets: product_bytes(self.rate_bps, rtt_ns) / PACKET_BYTES,
            file_bytes: self.file_bytes,
            runs: laps.len() as u64,
            packet_events,
            virtual_ns: laps.iter().map(|lap| nanos(lap.simulated)).sum(),
            processor_ns,
            ns_per_event,
            events_per_s: 1e9 / ns_per_event,
        })
    }
}

fn product_bytes(rate_bps: u64, rtt_ns: u64) -> u64 {
    let bits = u128::from(rate_bps) * u128::from(rtt_ns) / 1_000_000_000;
    u64::try_from(bits / 8).unwrap_or(u64::MAX)
}

fn write_csv(path: &Path, rows: &[Row]) -> Result<(), CommandError> {
    let fault = |error: csv::Error| CommandError::file(path, error);
    let mut table = csv::Writer::from_path(path).map_err(fault)?;
    for row in rows {
        table.serialize(row).map_err(fault)?;
    }
    table
        .flush()
        .map_err(|error| CommandError::file(path, error))
}

fn growth(name: &str, rows: &[Row]) -> Growth {
    let panel = |grows: &str, title: &str, amount: fn(&Row) -> u64| {
        let rows = rows.iter().filter(|row| row.grows == grows);
        Panel {
            title: title.to_owned(),
            points: rows
                .map(|row| (amount(row) as f64, row.ns_per_event))
                .collect(),
        }
    };
    Growth {
        title: "What a packet event costs in virtual time".to_owned(),
        subtitle: format!("{name}, full LFTP; level: the total grows in proportion"),
        label: "processor time for one packet event".to_owned(),
        bound: (BOUND_NS, "1,000,000 events a second".to_owned()),
        panels: vec![
            panel("flows", "flows, each with 10 Mbit/s and 1 MiB", |row| {
                row.flows
            }),
            panel(
                "product",
                "bandwidth-delay product, packets of 1,250 B",
                |row| row.product_packets,
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_of_a_gigabit_and_forty_milliseconds_is_five_megabytes() {
        assert_eq!(product_bytes(1_000_000_000, 40_000_000), 5_000_000);
    }

    #[test]
    fn a_measured_point_has_its_flows_and_at_least_their_packets() {
        let speed = Speed {
            scenarios: Vec::new(),
            runs: 1,
            changes: Vec::new(),
            growth: true,
            out: None,
        };
        let point = Point {
            grows: "flows",
            flows: 3,
            rate_bps: 30_000_000,
            file_bytes: 20_000,
        };
        let row = point.measure(&speed, "lossy-10pct", 40_000_000).unwrap();
        assert!(row.packet_events > row.runs * 3 * 20_000 / PACKET_BYTES);
        let picture = growth("lossy-10pct", &[row]);
        assert_eq!(picture.panels[0].points.len(), 1);
        assert_eq!(picture.panels[0].points[0].0, 3.0);
        assert!(picture.panels[1].points.is_empty());
    }
}
