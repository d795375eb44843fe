//! The page of a comparison: its charts, its table, and the command that makes it again.

use std::fmt::Write as _;
use std::path::Path;

use super::html::escape;
use super::page;
use super::{NAME, ReportError};
use crate::chart::CompareChart;
use crate::rows::Summary;

/// Writes the page of a comparison into `folder`, beside its CSV file and charts. `table` is for
/// people, as on the terminal.
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
    std::fs::write(&path, text).map_err(|source| ReportError::Write { path, source })
}

fn render(summaries: &[Summary], table: &str, command: &str) -> Result<String, ReportError> {
    let unfinished = summaries.iter().filter(|run| !run.intact).count();
    let mut page = page::opening("Transports compared");
    page.push_str("<main>\n<header class=\"good\">\n<h1>Transports compared</h1>\n");
    let _ = write!(
        page,
        "<p>{} runs in virtual time, {unfinished} of them not finished within their limit. Every \
         peer meets the same network, the same losses and the same bytes; the whole transfer \
         counts, from the first packet to the receiver's confirmation.</p>\n</header>\n",
        summaries.len()
    );
    page.push_str(&page::command(command));
    page.push_str("<section>\n<h2>Side by side</h2>\n");
    for chart in CompareChart::ALL {
        page.push_str(&page::figure(
            chart.name(),
            chart.title(),
            chart.caption(),
            &chart.svg(summaries)?,
        ));
    }
    let _ = write!(
        page,
        "</section>\n<section>\n<h2>Numbers</h2>\n<pre class=\"wide\">{}</pre>\n\
         <p class=\"hint\">Medians over the seeds; <i>worst</i> is the least efficiency of any. \
         A time stands where so many of the transfers were over within it. Every run is a row of \
         <a href=\"compare.csv\">compare.csv</a>.</p>\n</section>\n",
        escape(table)
    );
    page.push_str("</main>\n");
    page.push_str(&page::closing());
    Ok(page)
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
        let page = render(&[run], "<b>table</b>", "compare '<i>'").unwrap();
        assert_eq!(page.matches("<figure").count(), 2);
        assert!(page.contains("&lt;b&gt;table") && page.contains("compare &#39;&lt;i&gt;"));
        assert!(!page.contains("<b>table"));
        assert_eq!(page.matches("<script>").count(), 1, "the page's own");
        assert!(page.contains("1 runs in virtual time, 0 of them"));
    }
}
