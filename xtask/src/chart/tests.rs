//! Tests of whole charts.

use super::*;
use crate::rows::{PacketRow, ThroughputRow, TraceRow};

/// A second of a sender that sends a packet a millisecond and loses every tenth.
fn record() -> RunRecord {
    let mut record = RunRecord {
        link_rate_bps: Some(10_000_000),
        link_rtt_ns: 40_000_000,
        queue_limit_bytes: Some(50_000),
        ..RunRecord::default()
    };
    record.summary.scenario = "a<b & \"c\"".to_owned();
    record.summary.achievable_bps = Some(9_000_000);
    for at in 0..1_000_u64 {
        let t_ns = at * 1_000_000;
        let lost = at % 10 == 0;
        let metrics = TraceRow {
            t_ns,
            event: "metrics_updated",
            congestion_window_bytes: Some(20_000 + at * 10),
            bytes_in_flight: Some(10_000 + at % 7 * 1_000),
            latest_rtt_ns: Some(40_000_000 + at % 13 * 100_000),
            smoothed_rtt_ns: Some(41_000_000),
            delivered_bytes: Some(at * 1_200),
            ..TraceRow::default()
        };
        let sent = TraceRow {
            t_ns,
            event: if lost { "packet_lost" } else { "packet_sent" },
            offset: Some(at * 1_200),
            length: Some(1_200),
            detail: if at % 11 == 0 { "again" } else { "first" },
            ..TraceRow::default()
        };
        record.trace.extend([metrics, sent]);
        record.packets.push(PacketRow {
            t_ns,
            direction: "forward",
            fate: if lost { "lost-wire" } else { "delivered" },
            queue_bytes: Some(at % 40 * 1_000),
            ..PacketRow::default()
        });
    }
    record.throughput = (0..100)
        .map(|at| ThroughputRow {
            t_ns: at * 10_000_000,
            interval_ns: 10_000_000,
            sent_bytes: 12_000,
            goodput_bytes: 11_000,
            capacity_bytes: Some(12_500),
            ..ThroughputRow::default()
        })
        .collect();
    record
}

#[test]
fn the_same_record_gives_the_same_svg() {
    for chart in Chart::ALL {
        let first = chart.svg(&record()).unwrap();
        let second = chart.svg(&record()).unwrap();
        assert_eq!(first, second, "{}", chart.name());
        assert!(
            first.contains("<polyline") || first.contains("<polygon"),
            "{}",
            chart.name()
        );
    }
}

#[test]
fn names_cannot_break_an_svg() {
    let svg = Chart::Cwnd.svg(&record()).unwrap();
    assert!(svg.contains("a&lt;b &amp; &quot;c&quot;"));
    assert!(!svg.contains("a<b"));
}

#[test]
fn a_run_of_which_nothing_is_known_still_has_its_pictures() {
    for chart in Chart::ALL {
        let svg = chart.svg(&RunRecord::default()).unwrap();
        assert!(svg.contains("nothing was recorded"), "{}", chart.name());
    }
}

#[test]
fn every_chart_is_written_in_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path(), &record()).unwrap();
    write_compare(folder.path(), &[record().summary]).unwrap();
    let names = Chart::ALL
        .map(Chart::name)
        .into_iter()
        .chain(["efficiency", "delay"]);
    for name in names {
        let svg = std::fs::read_to_string(folder.path().join(format!("{name}.svg"))).unwrap();
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        let png = std::fs::read(folder.path().join(format!("{name}.png"))).unwrap();
        assert!(png.starts_with(b"\x89PNG"));
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = write_all(&missing, &record()).unwrap_err();
    assert!(error.to_string().contains("throughput.svg"), "{error}");
}
