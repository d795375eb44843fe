//! `report.html`: one page with everything about a run, which needs nothing else.
//!
//! | module | what |
//! |---|---|
//! | [`page`] | the page from top to bottom |
//! | [`compare`] | the page of a comparison |
//! | [`verdict`] | how it went, in a line and in a few |
//! | [`numbers`] | the summary's numbers, in groups |
//! | [`shares`] | where the bytes and the time went |
//! | [`html`] | escaping |

mod compare;
mod html;
mod numbers;
mod page;
mod shares;
mod verdict;

use std::io;
use std::path::{Path, PathBuf};

pub(crate) use self::compare::write_compare;
use crate::chart::ChartError;
use crate::rows::RunRecord;

/// The page's file name.
const NAME: &str = "report.html";

/// A page that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReportError {
    /// A chart could not be drawn.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// The file system refused.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes the page of a run into `folder`, beside its CSV files and charts.
///
/// # Errors
/// [`ReportError`]
pub(crate) fn write(folder: &Path, record: &RunRecord) -> Result<(), ReportError> {
    let path = folder.join(NAME);
    let text = page::render(record)?;
    std::fs::write(&path, text).map_err(|source| ReportError::Write { path, source })
}
