//! The drawing primitives: lines, dots and text on any backend.

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind};
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, ShapeStyle, TextStyle};

use super::font::FAMILY;
use super::style::Ink;

/// A position on the canvas: x to the right, y down.
pub(crate) type Spot = (i32, i32);

/// The result of drawing.
pub(crate) type DrawResult<DB> =
    Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

/// The drawing library counts a font's height from ascender to descender; an em is less.
const SIZE_PER_EM: f64 = 1.24;

/// The area of a whole picture.
pub(crate) struct Canvas<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
}

/// The style of text.
#[derive(Copy, Clone)]
pub(crate) struct LabelStyle {
    /// Height, in em.
    pub em: f64,
    /// Colour.
    pub ink: Ink,
    /// Bold instead of normal weight.
    pub bold: bool,
    /// The end of the text at which its position is.
    pub side: HPos,
}

impl LabelStyle {
    /// Creates the style of text that starts at its position and is centred on it vertically.
    #[must_use]
    pub(crate) const fn new(em: f64, ink: Ink) -> Self {
        Self {
            em,
            ink,
            bold: false,
            side: HPos::Left,
        }
    }

    /// Returns the style in bold.
    #[must_use]
    pub(crate) const fn bold(mut self) -> Self {
        self.bold = true;
        self
    }

    /// Returns the style with another end at the position.
    #[must_use]
    pub(crate) const fn at(mut self, side: HPos) -> Self {
        self.side = side;
        self
    }

    fn style(self) -> TextStyle<'static> {
        let weight = if self.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        };
        let font = FontDesc::new(FontFamily::Name(FAMILY), self.em * SIZE_PER_EM, weight);
        let color = self.ink.light().to_backend_color();
        let style = TextStyle {
            color,
            ..TextStyle::from(font)
        };
        style.pos(Pos::new(self.side, VPos::Center))
    }

    /// Returns the width of a text, with a margin in case another font is substituted.
    #[must_use]
    pub(crate) fn width(self, text: &str) -> i32 {
        let measured = self
            .style()
            .font
            .box_size(text)
            .map_or(0, |(width, _)| width);
        // Half of the largest number: callers add to it.
        i32::try_from(measured).unwrap_or(i32::MAX / 2) * 103 / 100
    }
}

impl<'a, DB: DrawingBackend> Canvas<'a, DB> {
    /// Creates a canvas on an area, and fills it with the background.
    ///
    /// # Errors
    /// The backend's.
    pub(crate) fn new(
        area: &'a DrawingArea<DB, Shift>,
    ) -> Result<Self, DrawingAreaErrorKind<DB::ErrorType>> {
        area.fill(&Ink::Paper.light())?;
        Ok(Self { area })
    }

    /// Returns width and height.
    pub(crate) fn size(&self) -> (i32, i32) {
        let (width, height) = self.area.dim_in_pixel();
        (
            i32::try_from(width).unwrap_or(i32::MAX),
            i32::try_from(height).unwrap_or(i32::MAX),
        )
    }

    /// Draws a text.
    pub(crate) fn text(&self, text: &str, (x, y): Spot, look: LabelStyle) -> DrawResult<DB> {
        // The library centres small letters; figures and capitals are higher.
        let lower = (look.em * 0.08).round() as i32;
        self.area.draw_text(text, &look.style(), (x, y + lower))
    }

    /// Draws a line through positions.
    pub(crate) fn line(&self, path: Vec<Spot>, ink: Ink, width: u32) -> DrawResult<DB> {
        // The library draws a path of one point as nothing on one backend and fails on the other.
        if path.len() < 2 {
            return Ok(());
        }
        self.area
            .draw(&PathElement::new(path, ink.light().stroke_width(width)))
    }

    /// Draws a dashed line through positions, in dashes of equal length.
    pub(crate) fn dashed(&self, path: &[Spot], ink: Ink, width: u32) -> DrawResult<DB> {
        // Cut here: the library's dashed lines start again at each point.
        for dash in dashes(path, 26.0, 16.0) {
            self.line(dash, ink, width)?;
        }
        Ok(())
    }

    /// Draws a filled polygon.
    pub(crate) fn fill(&self, outline: Vec<Spot>, ink: Ink, alpha: f64) -> DrawResult<DB> {
        self.area.draw(&Polygon::new(outline, solid(ink, alpha)))
    }

    /// Draws a filled rectangle.
    pub(crate) fn block(&self, from: Spot, to: Spot, ink: Ink, alpha: f64) -> DrawResult<DB> {
        self.area
            .draw(&Rectangle::new([from, to], solid(ink, alpha)))
    }

    /// Draws a dot.
    pub(crate) fn dot(&self, spot: Spot, radius: i32, ink: Ink, alpha: f64) -> DrawResult<DB> {
        self.area
            .draw(&Circle::new(spot, radius, solid(ink, alpha)))
    }

    /// Draws a square around a position.
    pub(crate) fn square(&self, (x, y): Spot, half: i32, ink: Ink, alpha: f64) -> DrawResult<DB> {
        self.block((x - half, y - half), (x + half, y + half), ink, alpha)
    }

    /// Draws a square that stands on a corner.
    pub(crate) fn diamond(&self, (x, y): Spot, half: i32, ink: Ink, alpha: f64) -> DrawResult<DB> {
        let corners = vec![(x, y - half), (x + half, y), (x, y + half), (x - half, y)];
        self.fill(corners, ink, alpha)
    }
}

fn solid(ink: Ink, alpha: f64) -> ShapeStyle {
    ink.light().mix(alpha).filled()
}

/// Cuts a path into dashes.
fn dashes(path: &[Spot], dash: f64, gap: f64) -> Vec<Vec<Spot>> {
    let mut dashes = Vec::new();
    let mut current: Vec<Spot> = path.first().copied().into_iter().collect();
    let mut left = dash;
    let mut drawing = true;
    for pair in path.windows(2) {
        // Dashes run on over the corners of the path: a curve of many short pieces would otherwise
        // be one line.
        let (from, to) = (pair[0], pair[1]);
        let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
        let length = dx.hypot(dy);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let share = done / length;
            let spot = (
                from.0 + (dx * share).round() as i32,
                from.1 + (dy * share).round() as i32,
            );
            if drawing {
                current.push(spot);
                dashes.push(std::mem::take(&mut current));
            } else {
                current = vec![spot];
            }
            drawing = !drawing;
            left = if drawing { dash } else { gap };
        }
        left -= length - done;
        if drawing {
            current.push(to);
        }
    }
    // The last dash may be shorter than the others.
    if drawing && current.len() > 1 {
        dashes.push(current);
    }
    dashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_go_round_corners_and_keep_their_length() {
        let path = [(0, 0), (20, 0), (20, 40)];
        let cut = dashes(&path, 26.0, 16.0);
        assert_eq!(cut[0], [(0, 0), (20, 0), (20, 6)]);
        assert_eq!(cut[1], [(20, 22), (20, 40)]);
        assert!(dashes(&[(1, 1)], 26.0, 16.0).is_empty());
    }
}
