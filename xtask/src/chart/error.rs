//! What can go wrong between a record and its pictures.

use std::io;
use std::path::PathBuf;

/// A picture that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ChartError {
    /// A bundled font does not load.
    #[error("the bundled font {0} cannot be read")]
    Font(&'static str),
    /// The drawing library refused.
    #[error("cannot draw {chart}: {reason}")]
    Draw {
        /// The chart's file name.
        chart: String,
        /// In the library's words.
        reason: String,
    },
    /// The file system refused.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
