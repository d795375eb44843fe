//! `report.html`: one self-contained page with everything about a run.
//!
//! | module | contents |
//! |---|---|
//! | [`page`] | the page of a run, top to bottom |
//! | [`compare`] | the page of a comparison |
//! | [`status`] | the outcome: a headline and a few sentences |
//! | [`numbers`] | the summary's numbers, in groups |
//! | [`shares`] | the shares of the bytes and of the time |
//!
//! Relies on the rows of a run and on its charts; nothing relies on it but `output` and `compare`.

mod compare;
mod numbers;
mod page;
mod shares;
mod status;

use std::io;
use std::path::{Path, PathBuf};

pub(crate) use self::compare::write_compare;
use crate::chart::ChartError;
use crate::rows::RunRecord;

/// The page's file name.
const NAME: &str = "report.html";

/// The reason why a page could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReportError {
    /// A chart could not be drawn.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// The file system refused.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
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
    std::fs::write(&path, text.into_string()).map_err(|source| ReportError::Write { path, source })
}
