//! The two files of a drawing: SVG and PNG.

use std::cell::RefCell;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::rc::Rc;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::prelude::{DrawingBackend, SVGBackend};

use super::canvas::DrawResult;
use super::raster::Raster;
use super::style::SCALE;
use super::{ChartError, compare, draw, font, growth::Growth, picture::Picture};

/// Anything that can be drawn.
#[derive(Clone, Debug)]
pub(crate) enum Drawing {
    /// Series over time.
    Picture(Picture),
    /// A table of shares.
    Matrix(compare::Matrix),
    /// Rate against delay, a panel a scenario.
    Scatter(compare::Scatter),
    /// The cost of an event while something grows.
    Growth(Growth),
}

impl Drawing {
    fn size(&self) -> (u32, u32) {
        match self {
            Self::Picture(_) => (super::style::WIDTH, super::style::HEIGHT),
            Self::Matrix(matrix) => matrix.size(),
            Self::Scatter(scatter) => scatter.size(),
            Self::Growth(growth) => growth.size(),
        }
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> DrawResult<DB> {
        match self {
            Self::Picture(picture) => draw::picture(area, picture),
            Self::Matrix(matrix) => matrix.draw(area),
            Self::Scatter(scatter) => scatter.draw(area),
            Self::Growth(growth) => growth.draw(area),
        }
    }

    /// Returns the text of an SVG file; the same bytes every time.
    ///
    /// # Errors
    /// [`ChartError`]
    pub(crate) fn svg(&self, name: &str) -> Result<String, ChartError> {
        font::register()?;
        let (width, height) = self.size();
        let mut text = String::new();
        {
            let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
            self.draw(&area).map_err(|error| refused(name, &error))?;
            area.present().map_err(|error| refused(name, &error))?;
        }
        // The library writes the drawing's own size: shown at half of it, as the PNG, with lines
        // joined round.
        let own = format!("width=\"{width}\" height=\"{height}\"");
        let shown = format!("width=\"{}\" height=\"{}\"", width / SCALE, height / SCALE);
        let rounded = "stroke-linejoin=\"round\" stroke-linecap=\"round\"";
        Ok(text.replacen(&own, &format!("{shown} {rounded}"), 1))
    }

    /// Writes a PNG file.
    ///
    /// # Errors
    /// [`ChartError`]
    pub(crate) fn write_png(&self, name: &str, path: &Path) -> Result<(), ChartError> {
        font::register()?;
        let (width, height) = self.size();
        let raster = Rc::new(RefCell::new(Raster::new(width, height)));
        self.draw(&DrawingArea::from(&raster))
            .map_err(|error| refused(name, &error))?;
        // DrawResult at twice the size and averaged: fills and dots have edges of whole pixels.
        let pixels = raster.borrow().reduced(SCALE as usize);
        let write = |source: std::io::Error| ChartError::Write {
            path: path.to_owned(),
            source,
        };
        let file = File::create(path).map_err(write)?;
        png(file, (width / SCALE, height / SCALE), &pixels).map_err(|error| write(error.into()))
    }

    /// Writes `name.svg` and `name.png`.
    ///
    /// # Errors
    /// [`ChartError`]
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Result<(), ChartError> {
        let path = folder.join(format!("{name}.svg"));
        std::fs::write(&path, self.svg(name)?)
            .map_err(|source| ChartError::Write { path, source })?;
        self.write_png(name, &folder.join(format!("{name}.png")))
    }
}

/// Encodes red, green and blue bytes as PNG. The settings are those of the `image` crate, which
/// plotters would bring for this one call.
fn png(file: File, (width, height): (u32, u32), pixels: &[u8]) -> Result<(), png::EncodingError> {
    let mut encoder = png::Encoder::new(BufWriter::new(file), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Charts are mostly one colour: a slower setting gains some per cent for many times the time.
    encoder.set_compression(png::Compression::Fast);
    encoder.set_adaptive_filter(png::AdaptiveFilterType::Adaptive);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()
}

fn refused(chart: &str, error: &dyn std::fmt::Display) -> ChartError {
    ChartError::Draw {
        chart: chart.to_owned(),
        reason: error.to_string(),
    }
}
