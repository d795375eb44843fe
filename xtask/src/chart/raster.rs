//! A bitmap with smooth lines.
//!
//! The drawing library's own bitmap draws thick lines with jagged edges and leaves holes where
//! they cross themselves. Here a line's every pixel is covered by its distance from the line,
//! and a whole line is laid over the picture at once, so that crossings are no darker.

use std::convert::Infallible;

use plotters::prelude::DrawingBackend;
use plotters_backend::text_anchor::HPos;
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind,
};

/// The distance by which text has to be lower than the library puts it, as a share of its size, for
/// the middle of an x to be on the spot.
const BASE_LINE: f64 = 0.15 / 1.24;

type BackendResult = Result<(), DrawingErrorKind<Infallible>>;

/// Pixels, and a mask for the line that is being drawn.
#[derive(Debug)]
pub(crate) struct Raster {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
    mask: Vec<u8>,
}

/// The part of the mask that a line has covered.
#[derive(Copy, Clone)]
struct Touched {
    from: (usize, usize),
    to: (usize, usize),
}

impl Raster {
    /// Creates a black picture.
    #[must_use]
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self {
            width,
            height,
            rgb: vec![0; width * height * 3],
            mask: vec![0; width * height],
        }
    }

    /// Returns the picture at a `factor`th of its size, as red, green and blue bytes.
    #[must_use]
    pub(crate) fn reduced(&self, factor: usize) -> Vec<u8> {
        let (width, height) = (self.width / factor, self.height / factor);
        let area = (factor * factor) as u32;
        let mut small = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            let mut sums = vec![0_u32; width * 3];
            for row in y * factor..(y + 1) * factor {
                let pixels = &self.rgb[row * self.width * 3..][..width * factor * 3];
                for (index, pixel) in pixels.as_chunks::<3>().0.iter().enumerate() {
                    for channel in 0..3 {
                        sums[index / factor * 3 + channel] += u32::from(pixel[channel]);
                    }
                }
            }
            // Rounded, not cut off: white stays white.
            small.extend(sums.iter().map(|sum| ((sum + area / 2) / area) as u8));
        }
        small
    }

    /// Blends a colour into one pixel.
    fn blend(&mut self, index: usize, rgb: (u8, u8, u8), alpha: f64) {
        let pixel = &mut self.rgb[index * 3..index * 3 + 3];
        for (below, above) in pixel.iter_mut().zip([rgb.0, rgb.1, rgb.2]) {
            let (under, over) = (f64::from(*below), f64::from(above));
            *below = (under + (over - under) * alpha).round() as u8;
        }
    }

    /// Covers the pixels near one straight piece: fully up to `radius` less half a pixel.
    fn cover(&mut self, from: BackendCoord, to: BackendCoord, radius: f64) -> Touched {
        let (ax, ay) = (f64::from(from.0), f64::from(from.1));
        let (bx, by) = (f64::from(to.0), f64::from(to.1));
        let reach = radius + 0.5;
        let top = clamp(ay.min(by) - reach, self.height);
        let bottom = clamp(ay.max(by) + reach + 1.0, self.height);
        let (dx, dy) = (bx - ax, by - ay);
        // A piece of no length is a dot, which circles are drawn with.
        let square = dx * dx + dy * dy;
        let mut touched = Touched {
            from: (self.width, top),
            to: (0, bottom),
        };
        for y in top..bottom {
            let row = y as f64;
            // Only the stretch of the piece that can reach this row.
            let along = |at: f64| if dy == 0.0 { at - ay } else { (at - ay) / dy };
            let (near, far) = if dy == 0.0 {
                (0.0, 1.0)
            } else {
                let (a, b) = (along(row - reach), along(row + reach));
                (a.min(b).clamp(0.0, 1.0), a.max(b).clamp(0.0, 1.0))
            };
            let (xa, xb) = (ax + dx * near, ax + dx * far);
            let left = clamp(xa.min(xb) - reach, self.width);
            let right = clamp(xa.max(xb) + reach + 1.0, self.width);
            touched.from.0 = touched.from.0.min(left);
            touched.to.0 = touched.to.0.max(right);
            for x in left..right {
                let (px, py) = (x as f64 - ax, row - ay);
                let share = if square > 0.0 {
                    (px * dx + py * dy) / square
                } else {
                    0.0
                };
                // Beyond the ends the nearest point is the end: that makes them round.
                let share = share.clamp(0.0, 1.0);
                let distance = (px - dx * share).hypot(py - dy * share);
                let cover = (radius + 0.5 - distance).clamp(0.0, 1.0);
                let mask = &mut self.mask[y * self.width + x];
                // The greatest cover, not the sum: where pieces of a line meet it is no darker.
                *mask = (*mask).max((cover * 255.0) as u8);
            }
        }
        touched
    }

    /// Blends a colour into everything covered, and clears the mask.
    fn lay(&mut self, touched: Touched, color: BackendColor) {
        for y in touched.from.1..touched.to.1 {
            for x in touched.from.0..touched.to.0 {
                let index = y * self.width + x;
                let cover = std::mem::take(&mut self.mask[index]);
                if cover > 0 {
                    self.blend(index, color.rgb, color.alpha * f64::from(cover) / 255.0);
                }
            }
        }
    }

    /// Blends a colour into a part of a row.
    fn span(&mut self, y: usize, left: usize, right: usize, color: BackendColor) {
        let row = y * self.width;
        // Without blending: most of a picture is its background.
        if color.alpha >= 1.0 {
            let (red, green, blue) = color.rgb;
            let bytes = &mut self.rgb[(row + left) * 3..(row + right.max(left)) * 3];
            bytes.as_chunks_mut().0.fill([red, green, blue]);
        } else {
            (left..right).for_each(|x| self.blend(row + x, color.rgb, color.alpha));
        }
    }

    /// Fills what is inside an outline (even-odd), by the middles of the pixels.
    fn fill(&mut self, outline: &[BackendCoord], color: BackendColor) {
        let rows = || outline.iter().map(|spot| f64::from(spot.1));
        let top = clamp(rows().fold(f64::MAX, f64::min), self.height);
        let bottom = clamp(rows().fold(0.0, f64::max), self.height);
        let ends = outline.iter().zip(outline.iter().cycle().skip(1));
        let mut crossings: Vec<f64> = Vec::new();
        for y in top..bottom {
            let middle = y as f64 + 0.5;
            crossings.clear();
            crossings.extend(ends.clone().filter_map(|(from, to)| {
                let (upper, lower) = if from.1 < to.1 {
                    (from, to)
                } else {
                    (to, from)
                };
                let (y0, y1) = (f64::from(upper.1), f64::from(lower.1));
                let (x0, x1) = (f64::from(upper.0), f64::from(lower.0));
                // One end belongs to the edge and the other does not: a corner is crossed once, not
                // twice.
                let crosses = y0 <= middle && middle < y1;
                crosses.then(|| x0 + (x1 - x0) * (middle - y0) / (y1 - y0))
            }));
            crossings.sort_by(f64::total_cmp);
            for pair in crossings.as_chunks::<2>().0 {
                let (left, right) = (pair[0].round(), pair[1].round());
                self.span(y, clamp(left, self.width), clamp(right, self.width), color);
            }
        }
    }

    fn stroke(&mut self, path: &[BackendCoord], width: u32, color: BackendColor) {
        let radius = f64::from(width.max(1)) / 2.0;
        let mut all: Option<Touched> = None;
        for pair in path.windows(2) {
            let piece = self.cover(pair[0], pair[1], radius);
            all = Some(all.map_or(piece, |all| Touched {
                from: (all.from.0.min(piece.from.0), all.from.1.min(piece.from.1)),
                to: (all.to.0.max(piece.to.0), all.to.1.max(piece.to.1)),
            }));
        }
        if let Some(all) = all {
            self.lay(all, color);
        }
    }
}

/// Returns a coordinate within a picture of `size` pixels.
fn clamp(value: f64, size: usize) -> usize {
    (value.max(0.0).floor() as usize).min(size)
}

impl DrawingBackend for Raster {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.width as u32, self.height as u32)
    }

    fn ensure_prepared(&mut self) -> BackendResult {
        Ok(())
    }

    fn present(&mut self) -> BackendResult {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> BackendResult {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else {
            return Ok(());
        };
        if x < self.width && y < self.height {
            self.blend(y * self.width + x, color.rgb, color.alpha);
        }
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        _fill: bool,
    ) -> BackendResult {
        let (left, right) = (
            clamp(from.0.into(), self.width),
            clamp(to.0.into(), self.width),
        );
        for y in clamp(from.1.into(), self.height)..clamp(to.1.into(), self.height) {
            self.span(y, left, right, style.color());
        }
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        outline: I,
        style: &S,
    ) -> BackendResult {
        let outline: Vec<BackendCoord> = outline.into_iter().collect();
        self.fill(&outline, style.color());
        Ok(())
    }

    /// Draws text like the library does, but with the base line where an SVG has it.
    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> BackendResult {
        let failed = |error| DrawingErrorKind::FontError(Box::new(error));
        let ((left, top), (right, bottom)) = style.layout_box(text).map_err(failed)?;
        let along = match style.anchor().h_pos {
            HPos::Left => x,
            HPos::Center => x - (right - left) / 2,
            HPos::Right => x - (right - left),
        };
        let down = y - (bottom - top) / 2 + (style.size() * BASE_LINE).round() as i32;
        style
            .draw(text, (0, 0), |dx, dy, color| {
                self.draw_pixel((along + dx, down + dy), color)
            })
            .map_err(|error| DrawingErrorKind::FontError(Box::new(error)))?
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> BackendResult {
        self.stroke(&[from, to], style.stroke_width(), style.color());
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> BackendResult {
        let path: Vec<BackendCoord> = path.into_iter().collect();
        self.stroke(&path, style.stroke_width(), style.color());
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        _fill: bool,
    ) -> BackendResult {
        // A disc is a line of no length.
        let touched = self.cover(center, center, f64::from(radius));
        self.lay(touched, style.color());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: BackendColor = BackendColor {
        alpha: 1.0,
        rgb: (255, 0, 0),
    };

    fn red(raster: &Raster, x: usize, y: usize) -> u8 {
        raster.rgb[(y * raster.width + x) * 3]
    }

    #[test]
    fn a_line_is_full_inside_soft_at_its_edge_and_nowhere_else() {
        let mut raster = Raster::new(40, 20);
        raster.stroke(&[(5, 10), (30, 10)], 4, RED);
        assert_eq!(red(&raster, 15, 10), 255);
        assert_eq!(red(&raster, 15, 12), 127);
        assert_eq!(red(&raster, 15, 13), 0);
        assert_eq!(red(&raster, 1, 10), 0);
    }

    #[test]
    fn a_translucent_line_that_crosses_itself_is_no_darker_there() {
        let mut raster = Raster::new(40, 40);
        let half = BackendColor { alpha: 0.5, ..RED };
        raster.stroke(&[(0, 20), (39, 20), (20, 0), (20, 39)], 6, half);
        assert_eq!(red(&raster, 20, 20), red(&raster, 10, 20));
    }

    #[test]
    fn a_line_from_outside_is_cut_at_the_edge() {
        let mut raster = Raster::new(10, 10);
        raster.stroke(&[(-50, 5), (50, 5)], 2, RED);
        assert_eq!(red(&raster, 0, 5), 255);
        assert_eq!(red(&raster, 9, 5), 255);
    }

    #[test]
    fn an_outline_is_filled_inside_and_only_once() {
        let mut raster = Raster::new(20, 20);
        let half = BackendColor { alpha: 0.5, ..RED };
        raster.fill(&[(2, 2), (18, 2), (18, 10), (2, 10)], half);
        assert_eq!(red(&raster, 2, 2), 128);
        assert_eq!(red(&raster, 17, 9), 128);
        assert_eq!(red(&raster, 18, 9), 0);
        assert_eq!(red(&raster, 17, 10), 0);
    }

    #[test]
    fn four_pixels_become_their_mean() {
        let mut raster = Raster::new(2, 2);
        raster
            .rgb
            .copy_from_slice(&[0, 0, 0, 100, 0, 0, 100, 0, 0, 200, 0, 8]);
        assert_eq!(raster.reduced(2), [100, 0, 2]);
    }
}
