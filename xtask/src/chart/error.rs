//! The errors of drawing and writing charts.

use std::io;
use std::path::PathBuf;

/// The reason why a chart could not be drawn or written.
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
        /// The library's message.
        reason: String,
    },
    /// The file system refused.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}
