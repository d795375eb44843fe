//! The page from top to bottom.

use std::fmt::{Display, Write as _};

use super::html::escape;
use super::{ReportError, numbers, shares, verdict};
use crate::chart::units::{bytes, percent, rate, time};
use crate::chart::{Chart, style};
use crate::rows::{RunRecord, Summary};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What lies beside the page.
const FILES: [&str; 4] = ["summary.json", "trace.csv", "packets.csv", "throughput.csv"];

/// The whole page.
pub(crate) fn render(record: &RunRecord) -> Result<String, ReportError> {
    let mut page = head(&record.summary);
    page.push_str("<main>\n");
    page.push_str(&header(record));
    page.push_str(&tiles(&record.summary));
    page.push_str(&again(record));
    page.push_str(&bars(record));
    page.push_str("<section>\n<h2>Over time</h2>\n");
    for chart in Chart::ALL {
        let svg = chart.svg(record)?;
        page.push_str(&figure(chart.name(), chart.title(), chart.caption(), &svg));
    }
    page.push_str("</section>\n");
    page.push_str(&tables(record));
    page.push_str(&scenario(record));
    page.push_str(&footer(&record.summary));
    page.push_str("</main>\n");
    page.push_str(&closing());
    Ok(page)
}

fn head(summary: &Summary) -> String {
    let title = format!(
        "{}, {} clock, seed {}: {}",
        summary.scenario,
        summary.clock,
        summary.seed,
        verdict::headline(summary)
    );
    opening(&title)
}

/// What comes before a page's contents.
pub(super) fn opening(title: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <style>\n{STYLE}\n@media screen and (prefers-color-scheme: dark) {{\n{}}}\n</style>\n\
         </head>\n<body>\n",
        escape(title),
        style::dark_rules("figure")
    )
}

/// What comes behind them.
pub(super) fn closing() -> String {
    format!("<script>\n{SCRIPT}</script>\n</body>\n</html>\n")
}

fn header(record: &RunRecord) -> String {
    let summary = &record.summary;
    let tone = verdict::tone(summary);
    let mut html = format!(
        "<header class=\"{}\">\n<p class=\"where\">{} · {} clock · seed {} · {}</p>\n\
         <h1><span class=\"badge\">{}</span> {}</h1>\n",
        tone.class(),
        escape(&summary.scenario),
        escape(&summary.clock),
        summary.seed,
        escape(&summary.congestion),
        tone.word(),
        escape(&verdict::headline(summary))
    );
    if let Some(description) = description(&record.scenario_toml) {
        put(
            &mut html,
            format_args!("<p class=\"description\">{}</p>\n", escape(&description)),
        );
    }
    for sentence in verdict::sentences(record) {
        put(&mut html, format_args!("<p>{}</p>\n", escape(&sentence)));
    }
    html + "</header>\n"
}

/// What the scenario says of itself.
fn description(scenario_toml: &str) -> Option<String> {
    let table: toml::Table = toml::from_str(scenario_toml).ok()?;
    Some(table.get("description")?.as_str()?.to_owned())
}

/// The numbers that everybody asks for first.
fn tiles(summary: &Summary) -> String {
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
    let mut html = "<section class=\"tiles\">\n".to_owned();
    for (name, value) in tiles {
        put(
            &mut html,
            format_args!(
                "<div><b>{}</b><span>{}</span></div>\n",
                escape(&value),
                escape(name)
            ),
        );
    }
    html + "</section>\n"
}

/// How to make the run again.
fn again(record: &RunRecord) -> String {
    if record.command.is_empty() {
        return String::new();
    }
    command(&record.command)
}

/// A command, and a button that copies it.
pub(super) fn command(command: &str) -> String {
    format!(
        "<section class=\"again\">\n<pre><code id=\"command\">{}</code></pre>\n\
         <button type=\"button\" data-copy=\"command\">Copy</button>\n</section>\n",
        escape(command)
    )
}

/// Where the bytes and the time went.
fn bars(record: &RunRecord) -> String {
    let shares = shares::bytes(record);
    let stretches = shares::stretches(record);
    if shares.is_empty() && stretches.is_empty() {
        return String::new();
    }
    let mut html = "<section>\n<h2>Where it went</h2>\n<div class=\"where-it-went\">\n".to_owned();
    let parts: Vec<Part> = shares
        .iter()
        .map(|share| (share.name, share.class, share.bytes, bytes(share.bytes)))
        .collect();
    html.push_str(&bar("Bytes on the link", &parts, bytes));
    let parts: Vec<Part> = stretches
        .iter()
        .map(|stretch| {
            let ideal = stretch.ideal_ns.filter(|&ns| ns > 0);
            let ideal = ideal.map_or_else(String::new, |ns| format!(" (at best {})", time(ns)));
            let took = time(stretch.took_ns);
            (
                stretch.name,
                stretch.class,
                stretch.took_ns,
                format!("{took}{ideal}"),
            )
        })
        .collect();
    html.push_str(&bar("Time", &parts, time));
    html + "</div>\n</section>\n"
}

/// Name, style class, amount, and the amount in words.
type Part = (&'static str, &'static str, u64, String);

fn bar(title: &str, parts: &[Part], text: impl Fn(u64) -> String) -> String {
    let total: u64 = parts.iter().map(|part| part.2).sum();
    if total == 0 {
        return String::new();
    }
    let share = |amount: u64| amount as f64 / total as f64;
    let mut html = format!(
        "<div>\n<h3>{} <small>{}</small></h3>\n<div class=\"bar\">",
        escape(title),
        escape(&text(total))
    );
    for (name, class, amount, _) in parts.iter().filter(|part| part.2 > 0) {
        let (width, tip) = (share(*amount) * 100.0, percent(share(*amount)));
        put(
            &mut html,
            format_args!(
                "<i class=\"{class}\" style=\"flex-grow:{width:.4}\" title=\"{}: {tip}\"></i>",
                escape(name)
            ),
        );
    }
    html.push_str("</div>\n<table class=\"key\">\n");
    for (name, class, amount, words) in parts {
        put(
            &mut html,
            format_args!(
                "<tr title=\"{amount}\"><td><i class=\"{class}\"></i></td><th scope=\"row\">{}</th>\
                 <td>{}</td><td>{}</td></tr>\n",
                escape(name),
                escape(words),
                percent(share(*amount))
            ),
        );
    }
    html + "</table>\n</div>\n"
}

/// A chart with what is to be said of it.
pub(super) fn figure(name: &str, title: &str, caption: &str, svg: &str) -> String {
    let label = format!("<svg role=\"img\" aria-label=\"{}\" ", escape(title));
    let svg = svg.replacen("<svg ", &label, 1);
    format!(
        "<figure id=\"{name}\">\n{svg}<figcaption>{} <a href=\"{name}.svg\">SVG</a> \
         <a href=\"{name}.png\">PNG</a></figcaption>\n</figure>\n",
        escape(caption)
    )
}

fn tables(record: &RunRecord) -> String {
    let mut html = "<section>\n<h2>Numbers</h2>\n<div class=\"numbers\">\n".to_owned();
    for group in numbers::groups(record) {
        put(
            &mut html,
            format_args!("<div>\n<h3>{}</h3>\n<table>\n", escape(group.title)),
        );
        group
            .lines
            .iter()
            .for_each(|line| html.push_str(&line.html()));
        html.push_str("</table>\n</div>\n");
    }
    html + "</div>\n<p class=\"hint\">The raw number is in each row's tooltip.</p>\n</section>\n"
}

fn scenario(record: &RunRecord) -> String {
    if record.scenario_toml.is_empty() {
        return String::new();
    }
    format!(
        "<section>\n<h2>Scenario</h2>\n<pre><code>{}</code></pre>\n</section>\n",
        escape(&record.scenario_toml)
    )
}

fn footer(summary: &Summary) -> String {
    let links: Vec<String> = FILES
        .iter()
        .map(|name| format!("<a href=\"{name}\">{name}</a>"))
        .collect();
    format!(
        "<footer>LFTP {} · {}<br>trace SHA-256 <code>{}</code></footer>\n",
        escape(&summary.version),
        links.join(" · "),
        escape(&summary.trace_sha256)
    )
}

/// Appends; a `String` takes everything.
fn put(html: &mut String, text: impl Display) {
    let _ = write!(html, "{text}");
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
        let page = render(&record()).unwrap();
        for evil in ["<script>alert", "<img src=x>", "<i>no</i>", "\"<b>\""] {
            assert!(!page.contains(evil), "{evil}");
        }
        assert!(page.contains("&lt;img src=x&gt;"));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = render(&RunRecord::default()).unwrap();
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains("http://") && !page.contains("https://"));
        assert!(
            !page.contains("<link") && !page.contains("src="),
            "no other file is loaded"
        );
    }

    #[test]
    fn the_same_record_gives_the_same_page() {
        assert_eq!(render(&record()).unwrap(), render(&record()).unwrap());
    }
}
