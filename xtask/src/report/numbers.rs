//! The summary's numbers in groups: rounded, with the raw value as a tooltip.

use maud::{Markup, Render, html};

use crate::chart::units::{bytes, count, percent, rate, time};
use crate::rows::{RunRecord, Summary};

/// A group of numbers.
pub(crate) struct Group {
    /// The heading.
    pub(crate) title: &'static str,
    /// The numbers.
    pub(crate) lines: Vec<Line>,
}

/// One number.
pub(crate) struct Line {
    name: &'static str,
    value: String,
    raw: String,
}

/// A number under its key of `summary.json`.
fn line(name: &'static str, key: &str, value: String, raw: impl ToString) -> Line {
    Line {
        name,
        value,
        raw: format!("{key} = {}", raw.to_string()),
    }
}

/// A number that may be unknown.
fn known<T: ToString + Copy>(
    name: &'static str,
    key: &str,
    value: Option<T>,
    text: impl Fn(T) -> String,
) -> Line {
    match value {
        Some(value) => line(name, key, text(value), value),
        None => line(name, key, "unknown".to_owned(), "null"),
    }
}

impl Render for Line {
    fn render(&self) -> Markup {
        html! {
            tr title=(self.raw) {
                th scope="row" { (self.name) }
                td { (self.value) }
            }
        }
    }
}

/// All groups, the most important first.
pub(crate) fn groups(record: &RunRecord) -> Vec<Group> {
    let summary = &record.summary;
    vec![
        Group {
            title: "Result",
            lines: result(summary),
        },
        Group {
            title: "Packets",
            lines: packets(summary),
        },
        Group {
            title: "Delay",
            lines: delay(record),
        },
        Group {
            title: "Set-up",
            lines: setup(summary),
        },
        Group {
            title: "Trust",
            lines: trust(summary),
        },
    ]
}

fn result(summary: &Summary) -> Vec<Line> {
    let whole = if summary.intact { "yes" } else { "no" };
    let mut lines = vec![
        line("Intact", "intact", whole.to_owned(), summary.intact),
        line("Transferred", "bytes", bytes(summary.bytes), summary.bytes),
        line(
            "Duration",
            "duration_ns",
            time(summary.duration_ns),
            summary.duration_ns,
        ),
        line(
            "Goodput",
            "goodput_bps",
            rate(summary.goodput_bps),
            summary.goodput_bps,
        ),
        known("Achievable", "achievable_bps", summary.achievable_bps, rate),
        known(
            "Efficiency",
            "efficiency_ratio",
            summary.efficiency_ratio,
            percent,
        ),
        known("Steady", "steady_ratio", summary.steady_ratio, percent),
    ];
    if let Some(recovery) = &summary.recovery_ms {
        lines.push(line(
            "Recovery, ms",
            "recovery_ms",
            recovery.replace('+', ", "),
            recovery,
        ));
    }
    if summary.flows > 1 {
        lines.insert(
            2,
            line(
                "Transfers",
                "flows",
                count(summary.flows.into()),
                summary.flows,
            ),
        );
        let index = |jain: f64| format!("{jain:.3}");
        lines.push(known(
            "Fairness (Jain)",
            "jain_index",
            summary.jain_index,
            index,
        ));
        let shares = summary.shared_percent.as_ref();
        lines.push(line(
            "Shares while all ran, %",
            "shared_percent",
            shares.cloned().unwrap_or_else(|| "unknown".to_owned()),
            shares.map_or("null", String::as_str),
        ));
        lines.push(known(
            "Fairness of those",
            "shared_jain_index",
            summary.shared_jain_index,
            index,
        ));
    }
    lines
}

fn packets(summary: &Summary) -> Vec<Line> {
    let counted = |name, key, value: u64| line(name, key, count(value), value);
    let wire = summary.wire_bytes;
    vec![
        counted("Sent", "packets_sent", summary.packets_sent),
        counted(
            "Retransmitted",
            "packets_retransmitted",
            summary.packets_retransmitted,
        ),
        counted(
            "Lost on the link",
            "packets_lost_on_link",
            summary.packets_lost_on_link,
        ),
        counted("Lost by the queue", "queue_drops", summary.queue_drops),
        counted(
            "Spurious retransmissions",
            "spurious_retransmissions",
            summary.spurious_retransmissions,
        ),
        line(
            "Received twice",
            "redundant_bytes",
            bytes(summary.redundant_bytes),
            summary.redundant_bytes,
        ),
        line("On the link", "wire_bytes", bytes(wire), wire),
    ]
}

fn delay(record: &RunRecord) -> Vec<Line> {
    let summary = &record.summary;
    let own = record.link_rtt_ns;
    vec![
        line("The link's own", "link_rtt_ns", time(own), own),
        known("Round trip, least", "rtt_min_ns", summary.rtt_min_ns, time),
        known("Round trip, median", "rtt_p50_ns", summary.rtt_p50_ns, time),
        known("Round trip, 95 %", "rtt_p95_ns", summary.rtt_p95_ns, time),
        known(
            "Queue, 95 %",
            "queue_delay_p95_ns",
            summary.queue_delay_p95_ns,
            time,
        ),
    ]
}

fn setup(summary: &Summary) -> Vec<Line> {
    let text = |name, key, value: &String| line(name, key, value.clone(), value);
    let mut lines = vec![
        text("Scenario", "scenario", &summary.scenario),
        text("Clock", "clock", &summary.clock),
        line("Seed", "seed", summary.seed.to_string(), summary.seed),
        text("Congestion control", "congestion", &summary.congestion),
        text("Recovery", "recovery", &summary.recovery),
    ];
    lines.extend(summary.peer.iter().map(|peer| text("Peer", "peer", peer)));
    lines.push(text("Version", "version", &summary.version));
    lines
}

fn trust(summary: &Summary) -> Vec<Line> {
    let late = |name, key, value: u64| line(name, key, time(value), value);
    let valid = if summary.valid { "yes" } else { "no" };
    let mut lines = vec![
        line("Valid", "valid", valid.to_owned(), summary.valid),
        line(
            "Because",
            "validity",
            summary.validity.clone(),
            &summary.validity,
        ),
    ];
    // In virtual time nothing is late: a row of zeros would ask for an explanation.
    if summary.clock == "real" {
        lines.extend([
            late(
                "Lateness, median",
                "lateness_p50_ns",
                summary.lateness_p50_ns,
            ),
            late("Lateness, 99 %", "lateness_p99_ns", summary.lateness_p99_ns),
            late(
                "Lateness, worst",
                "lateness_max_ns",
                summary.lateness_max_ns,
            ),
            line(
                "Proxy's own drops",
                "own_drops",
                count(summary.own_drops),
                summary.own_drops,
            ),
        ]);
    }
    let short: String = summary.trace_sha256.chars().take(16).collect();
    lines.push(line(
        "Trace hash",
        "trace_sha256",
        format!("{short}…"),
        &summary.trace_sha256,
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_rounded_and_its_raw_value_in_the_tooltip() {
        let record = RunRecord {
            summary: Summary {
                goodput_bps: 93_240_000,
                ..Summary::default()
            },
            ..RunRecord::default()
        };
        let all: String = groups(&record)
            .iter()
            .flat_map(|group| &group.lines)
            .map(|line| line.render().into_string())
            .collect();
        assert!(all.contains("title=\"goodput_bps = 93240000\""));
        assert!(all.contains("<td>93.2\u{a0}Mbit/s</td>"));
        assert!(all.contains("title=\"rtt_min_ns = null\""));
    }
}
