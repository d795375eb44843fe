//! The files of a run, and its numbers on the terminal.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use serde::Serialize;

use crate::error::CommandError;
use crate::rows::{RunRecord, Summary};
use crate::table::{Column, Table};
use crate::{chart, report};

/// Writes every file of a run into `folder`.
///
/// # Errors
/// [`CommandError`] with the file that could not be written.
pub(crate) fn write_all(folder: &Path, record: &RunRecord) -> Result<(), CommandError> {
    std::fs::create_dir_all(folder).map_err(|error| CommandError::file(folder, error))?;
    let path = folder.join("summary.json");
    let json = serde_json::to_string_pretty(&record.summary)
        .map_err(|error| CommandError::file(&path, error))?;
    std::fs::write(&path, json + "\n").map_err(|error| CommandError::file(&path, error))?;
    write_csv(&folder.join("trace.csv"), &record.trace)?;
    write_csv(&folder.join("packets.csv"), &record.packets)?;
    write_csv(&folder.join("throughput.csv"), &record.throughput)?;
    chart::write_all(folder, record).map_err(|error| CommandError::file(folder, error))?;
    report::write(folder, record).map_err(|error| CommandError::file(folder, error))
}

/// Writes rows with their heading.
///
/// # Errors
/// [`CommandError`] with the file that could not be written.
pub(crate) fn write_csv<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), CommandError> {
    let fault = |error: &dyn std::fmt::Display| CommandError::file(path, error);
    let file = File::create(path).map_err(|error| fault(&error))?;
    let mut csv = csv::Writer::from_writer(BufWriter::new(file));
    for row in rows {
        csv.serialize(row).map_err(|error| fault(&error))?;
    }
    csv.flush().map_err(|error| fault(&error))
}

/// Returns the object of `summary.json` on one line.
pub(crate) fn json_line(summary: &Summary) -> String {
    serde_json::to_string(summary).unwrap_or_default()
}

/// Formats the numbers of a run for the terminal.
pub(crate) fn describe(record: &RunRecord, folder: &Path) -> String {
    let summary = &record.summary;
    let mut text = String::new();
    let result = match &summary.failure {
        Some(failure) => format!("FAILED: {failure}"),
        None if summary.intact => "the file arrived intact".to_owned(),
        None => "THE FILE DID NOT ARRIVE INTACT".to_owned(),
    };
    let table = Table::narrow([Column::left("", 14), Column::left("", 0)]);
    let mut line = |name: &str, value: String| {
        text += &table.row([format!("  {name}"), value]);
        text.push('\n');
    };
    line("result", result);
    line("goodput", describe_goodput(summary));
    line("steady", percent(summary.steady_ratio));
    line(
        "packets",
        format!(
            "{} sent, {} retransmitted ({} of them spuriously), {} lost on the link ({} of them by its queue)",
            summary.packets_sent,
            summary.packets_retransmitted,
            summary.spurious_retransmissions,
            summary.packets_lost_on_link,
            summary.queue_drops
        ),
    );
    line(
        "round trip",
        format!(
            "min {}, median {}, p95 {}; queue p95 {}",
            millis(summary.rtt_min_ns),
            millis(summary.rtt_p50_ns),
            millis(summary.rtt_p95_ns),
            millis(summary.queue_delay_p95_ns)
        ),
    );
    if let Some(shares) = &summary.shared_percent {
        let jain = summary.shared_jain_index.unwrap_or_default();
        line(
            "shares",
            format!("{shares} % in the last half of the common time; Jain's index {jain:.3}"),
        );
    }
    if let Some(recovery) = &summary.recovery_ms {
        line("recovery", format!("{} ms", recovery.replace('+', ", ")));
    }
    let valid = if summary.valid { "valid" } else { "INVALID" };
    line(
        "clock",
        format!("{}, {valid}: {}", summary.clock, summary.validity),
    );
    line("trace", summary.trace_sha256.clone());
    line("report", folder.join("report.html").display().to_string());
    line("repeat", record.command.clone());
    format!(
        "{} (seed {}, {})\n{text}",
        summary.scenario, summary.seed, summary.congestion
    )
}

fn describe_goodput(summary: &Summary) -> String {
    let of_what = summary.achievable_bps.map_or_else(String::new, |most| {
        format!(
            ", {} of the {} that can survive",
            percent(summary.efficiency_ratio),
            mbit(most)
        )
    });
    format!(
        "{} ({} in {:.3} s){of_what}",
        mbit(summary.goodput_bps),
        bytes(summary.bytes),
        seconds(summary.duration_ns)
    )
}

/// Formats a rate in bits a second.
pub(crate) fn mbit(bps: u64) -> String {
    format!("{:.2} Mbit/s", bps as f64 / 1e6)
}

/// Formats a share.
pub(crate) fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(
        || "unknown".to_owned(),
        |ratio| format!("{:.1} %", ratio * 100.0),
    )
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn millis(ns: Option<u64>) -> String {
    ns.map_or_else(
        || "unknown".to_owned(),
        |ns| format!("{:.2} ms", ns as f64 / 1e6),
    )
}
