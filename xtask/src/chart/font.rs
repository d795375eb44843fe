//! The font: bundled, so that pictures are the same on every machine.

use std::sync::OnceLock;

use plotters::style::{FontStyle, register_font};

use super::ChartError;

/// The registered name of the font. It is also what an SVG asks its viewer for: the font itself, or
/// one that is about as wide.
pub(crate) const FAMILY: &str = "Inter, Helvetica, Arial, sans-serif";

/// Inter (SIL Open Font License, beside the files), cut down to Latin.
static REGULAR: &[u8] = include_bytes!("../../assets/Inter-Regular.otf");
static BOLD: &[u8] = include_bytes!("../../assets/Inter-SemiBold.otf");

/// Registers the font with the drawing library, once.
///
/// # Errors
/// [`ChartError::Font`] if a bundled file is damaged.
pub(crate) fn register() -> Result<(), ChartError> {
    static DONE: OnceLock<Result<(), &'static str>> = OnceLock::new();
    // Once for the process: the library keeps fonts in a global table.
    DONE.get_or_init(|| {
        register_font(FAMILY, FontStyle::Normal, REGULAR).map_err(|_| "Inter Regular")?;
        register_font(FAMILY, FontStyle::Bold, BOLD).map_err(|_| "Inter SemiBold")
    })
    .map_err(ChartError::Font)
}
