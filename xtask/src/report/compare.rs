//! The page of a comparison: its charts, its table, and the command that repeats it.

use std::path::Path;

use maud::{Markup, html};

use super::{NAME, ReportError, page};
use crate::chart::CompareChart;
use crate::rows::Summary;

/// Writes the page of a comparison into `folder`, beside its CSV file and charts. `table` is
/// the one on the terminal.
///
/// # Errors
/// [`ReportError`]
pub(crate) fn write_compare(
    folder: &Path,
    summaries: &[Summary],
    table: &str,
    command: &str,
) -> Result<(), ReportError> {
    let path = folder.join(NAME);
    let text = render(summaries, table, command)?;
    std::fs::write(&path, text.into_string()).map_err(|source| ReportError::Write { path, source })
}

fn render(summaries: &[Summary], table: &str, command: &str) -> Result<Markup, ReportError> {
    let unfinished = summaries.iter().filter(|run| !run.intact).count();
    let mut figures = Vec::new();
    for chart in CompareChart::ALL {
        let svg = chart.svg(summaries)?;
        figures.push(page::figure(
            chart.name(),
            chart.title(),
            chart.caption(),
            &svg,
        ));
    }
    Ok(page::document(
        "Transports compared",
        &html! {
            header.good {
                h1 { "Transports compared" }
                p {
                    (summaries.len()) " runs in virtual time, " (unfinished)
                    " of them not finished within their limit. Every peer meets the same network, \
                     the same losses and the same bytes; the whole transfer counts, from the first \
                     packet to the receiver's confirmation."
                }
            }
            (page::command(command))
            section {
                h2 { "Side by side" }
                @for figure in figures { (figure) }
            }
            section {
                h2 { "Numbers" }
                pre.wide { (table) }
                p.hint {
                    "Medians over the seeds; " i { "worst" } " is the lowest efficiency of any. A \
                     time is the one within which that share of the transfers finished. Every run \
                     is a row of " a href="compare.csv" { "compare.csv" } "."
                }
            }
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_both_charts_the_table_and_the_command_and_nothing_unescaped() {
        let run = Summary {
            scenario: "<script>".to_owned(),
            peer: Some("ours".to_owned()),
            intact: true,
            ..Summary::default()
        };
        let page = render(&[run], "<b>table</b>", "compare '<i>'")
            .unwrap()
            .into_string();
        assert_eq!(page.matches("<figure").count(), 2);
        assert!(page.contains("&lt;b&gt;table") && page.contains("compare '&lt;i&gt;"));
        assert!(!page.contains("<b>table"));
        assert_eq!(page.matches("<script>").count(), 1, "the page's own");
        assert!(page.contains("1 runs in virtual time, 0 of them"));
    }
}
