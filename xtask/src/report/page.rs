//! The page of a run, top to bottom. `maud` escapes everything that is not marked as markup.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::status::{self, Status};
use super::{ReportError, numbers, shares};
use crate::chart::units::{bytes, percent, rate, time};
use crate::chart::{Chart, style};
use crate::rows::{RunRecord, Summary};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The files beside the page.
const FILES: [&str; 4] = ["summary.json", "trace.csv", "packets.csv", "throughput.csv"];

/// Renders the whole page.
pub(crate) fn render(record: &RunRecord) -> Result<Markup, ReportError> {
    let summary = &record.summary;
    let title = format!(
        "{}, {} clock, seed {}: {}",
        summary.scenario,
        summary.clock,
        summary.seed,
        status::headline(summary)
    );
    let mut figures = Vec::new();
    for chart in Chart::ALL {
        let svg = chart.svg(record)?;
        figures.push(figure(chart.name(), chart.title(), chart.caption(), &svg));
    }
    Ok(document(
        &title,
        &html! {
            (header(record))
            (tiles(summary))
            @if !record.command.is_empty() { (command(&record.command)) }
            (bars(record))
            section {
                h2 { "Over time" }
                @for figure in figures { (figure) }
            }
            (tables(record))
            (scenario(record))
            (footer(summary))
        },
    ))
}

/// Puts the contents of a page between head and script.
pub(super) fn document(title: &str, contents: &Markup) -> Markup {
    // On screens only: paper is white.
    let dark = style::dark_rules("figure");
    let style = format!("{STYLE}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}}}\n");
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(style)) }
            }
            body {
                main { (contents) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn header(record: &RunRecord) -> Markup {
    let summary = &record.summary;
    let status = Status::of(summary);
    html! {
        header class=(status.class()) {
            p.where {
                (summary.scenario) " · " (summary.clock) " clock · seed " (summary.seed) " · "
                (summary.congestion)
            }
            h1 { span.badge { (status.word()) } " " (status::headline(summary)) }
            @if let Some(description) = description(&record.scenario_toml) {
                p.description { (description) }
            }
            @for sentence in status::sentences(record) { p { (sentence) } }
        }
    }
}

/// The description from the scenario file.
fn description(scenario_toml: &str) -> Option<String> {
    let table: toml::Table = toml::from_str(scenario_toml).ok()?;
    Some(table.get("description")?.as_str()?.to_owned())
}

/// The most important numbers.
fn tiles(summary: &Summary) -> Markup {
    let share = |ratio: Option<f64>| ratio.map_or_else(|| "–".to_owned(), percent);
    let delay = summary
        .queue_delay_p95_ns
        .map_or_else(|| "–".to_owned(), time);
    let tiles = [
        ("goodput", rate(summary.goodput_bps)),
        (
            "of what can survive the link",
            share(summary.efficiency_ratio),
        ),
        ("in the steady part", share(summary.steady_ratio)),
        ("for the whole transfer", time(summary.duration_ns)),
        ("in the queue (95 %)", delay),
    ];
    html! {
        section.tiles {
            @for (name, value) in tiles {
                div { b { (value) } span { (name) } }
            }
        }
    }
}

/// A command with a button that copies it.
pub(super) fn command(command: &str) -> Markup {
    html! {
        section.again {
            pre { code #command { (command) } }
            button type="button" data-copy="command" { "Copy" }
        }
    }
}

/// The shares of the bytes and of the time.
fn bars(record: &RunRecord) -> Markup {
    let shares = shares::bytes(record);
    let stretches = shares::stretches(record);
    // A run without packet records that did not finish.
    if shares.is_empty() && stretches.is_empty() {
        return Markup::default();
    }
    let share_parts: Vec<Part> = shares
        .iter()
        .map(|share| Part {
            name: share.name,
            class: share.class,
            amount: share.bytes,
            text: bytes(share.bytes),
        })
        .collect();
    let time_parts: Vec<Part> = stretches
        .iter()
        .map(|stretch| {
            let ideal = stretch.ideal_ns.filter(|&ns| ns > 0);
            let ideal = ideal.map_or_else(String::new, |ns| format!(" (at best {})", time(ns)));
            Part {
                name: stretch.name,
                class: stretch.class,
                amount: stretch.took_ns,
                text: time(stretch.took_ns) + &ideal,
            }
        })
        .collect();
    html! {
        section {
            h2 { "Where it went" }
            div.where-it-went {
                (bar("Bytes on the link", &share_parts, bytes))
                (bar("Time", &time_parts, time))
            }
        }
    }
}

/// One part of a bar.
struct Part {
    name: &'static str,
    /// The style class of its colour.
    class: &'static str,
    amount: u64,
    /// The amount with its unit.
    text: String,
}

fn bar(title: &str, parts: &[Part], text: impl Fn(u64) -> String) -> Markup {
    let total: u64 = parts.iter().map(|part| part.amount).sum();
    // Nothing to divide by: a bar without parts says nothing.
    if total == 0 {
        return Markup::default();
    }
    let share = |part: &Part| part.amount as f64 / total as f64;
    html! {
        div {
            h3 { (title) " " small { (text(total)) } }
            div.bar {
                @for part in parts.iter().filter(|part| part.amount > 0) {
                    i class=(part.class)
                        style=(format!("flex-grow:{:.4}", share(part) * 100.0))
                        title=(format!("{}: {}", part.name, percent(share(part)))) {}
                }
            }
            table.key {
                @for part in parts {
                    tr title=(part.amount) {
                        td { i class=(part.class) {} }
                        th scope="row" { (part.name) }
                        td { (part.text) }
                        td { (percent(share(part))) }
                    }
                }
            }
        }
    }
}

/// A chart with its caption and links to its files.
pub(super) fn figure(name: &str, title: &str, caption: &str, svg: &str) -> Markup {
    // Through `maud` as well, so that the title is escaped in the attribute.
    let label = html! { svg role="img" aria-label=(title) {} }.into_string();
    let label = label.trim_end_matches("></svg>");
    let svg = svg.replacen("<svg", label, 1);
    html! {
        figure id=(name) {
            // The only markup that is not escaped here: drawn by this program, with escaped text in
            // it.
            (PreEscaped(svg))
            figcaption {
                (caption) " "
                a href=(format!("{name}.svg")) { "SVG" } " "
                a href=(format!("{name}.png")) { "PNG" }
            }
        }
    }
}

fn tables(record: &RunRecord) -> Markup {
    html! {
        section {
            h2 { "Numbers" }
            div.numbers {
                @for group in numbers::groups(record) {
                    div {
                        h3 { (group.title) }
                        table { @for line in &group.lines { (line) } }
                    }
                }
            }
            p.hint { "The raw number is in each row's tooltip." }
        }
    }
}

fn scenario(record: &RunRecord) -> Markup {
    html! {
        @if !record.scenario_toml.is_empty() {
            section {
                h2 { "Scenario" }
                pre { code { (record.scenario_toml) } }
            }
        }
    }
}

fn footer(summary: &Summary) -> Markup {
    html! {
        footer {
            "LFTP " (summary.version)
            @for name in FILES { " · " a href=(name) { (name) } }
            br;
            "trace SHA-256 " code { (summary.trace_sha256) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> RunRecord {
        let mut record = RunRecord {
            scenario_toml: "description = \"<img src=x>\"\n".to_owned(),
            command: "cargo xtask scenario a --set 'x=\"<b>\"'".to_owned(),
            ..RunRecord::default()
        };
        record.summary.scenario = "</title><script>alert(1)</script>".to_owned();
        record.summary.failure = Some("<i>no</i>".to_owned());
        record
    }

    #[test]
    fn nothing_in_a_record_becomes_markup() {
        let page = render(&record()).unwrap().into_string();
        for evil in ["<script>alert", "<img src=x>", "<i>no</i>", "\"<b>\""] {
            assert!(!page.contains(evil), "{evil}");
        }
        assert!(page.contains("&lt;img src=x&gt;"));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = render(&RunRecord::default()).unwrap().into_string();
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains("http://") && !page.contains("https://"));
        assert!(
            !page.contains("<link") && !page.contains("src="),
            "no other file is loaded"
        );
    }

    #[test]
    fn the_same_record_gives_the_same_page() {
        let page = || render(&record()).unwrap().into_string();
        assert_eq!(page(), page());
    }
}
