//! Draws the series and the event rows of a picture.

use plotters::prelude::DrawingBackend;

use super::canvas::{Canvas, DrawResult, Spot};
use super::downsample::{Point, envelope, extremes, histogram, one_a_cell};
use super::picture::{EventRow, Layer, Shape};
use super::plot::Plot;
use super::style::Ink;

/// Columns a line is thinned to: four points each.
const COLUMNS: usize = 500;
/// Columns of an area, two points each.
const BAND_COLUMNS: usize = 1_000;
/// Cells of a cloud of dots: so small that it still looks like one, so large that the file stays
/// small.
const CLOUD: (usize, usize) = (360, 140);
/// Cells of dots that stand out.
const DOTS: (usize, usize) = (420, 220);
/// Up to this number events are drawn one by one; more become bars.
const TICKS: usize = 150;
/// The number of bars.
const BARS: usize = 240;

/// Draws a series.
pub(crate) fn layer<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    plot: &Plot,
    layer: &Layer,
) -> DrawResult<DB> {
    let (ink, area) = (layer.ink, SeriesArea { canvas, plot });
    match &layer.shape {
        Shape::Line(points) => area.line(&area.thinned(points), ink),
        // Thinned before the corners are added, or each step would count as two points.
        Shape::Steps(points) => area.line(&steps(&area.thinned(points)), ink),
        Shape::Band(points) => area.band(points, ink),
        Shape::Cloud(points) => area.dots(points, CLOUD, (6, 0.55, ink)),
        Shape::Dots(points) => area.dots(points, DOTS, (8, 1.0, ink)),
        Shape::Reference(value) => {
            let y = plot.y(*value);
            let path = [(plot.left, y), (plot.right, y)];
            // Above the axis it would be drawn over the heading; the label says where it is.
            if *value <= plot.y_axis.max {
                canvas.dashed(&path, ink, 6)
            } else {
                Ok(())
            }
        }
        Shape::VaryingReference(points) => {
            let runs = area.inside(&area.thinned(points));
            runs.iter().try_for_each(|run| canvas.dashed(run, ink, 6))
        }
    }
}

/// The area of the series. Points are thinned as they lie on the canvas, from the plot's lower
/// left corner.
struct SeriesArea<'a, 'b, DB: DrawingBackend> {
    canvas: &'a Canvas<'b, DB>,
    plot: &'a Plot,
}

impl<DB: DrawingBackend> SeriesArea<'_, '_, DB> {
    const fn width(&self) -> f64 {
        (self.plot.right - self.plot.left) as f64
    }

    const fn height(&self) -> f64 {
        (self.plot.bottom - self.plot.top) as f64
    }

    fn placed(&self, points: &[Point]) -> Vec<Point> {
        let (x_axis, y_axis) = (self.plot.x_axis, self.plot.y_axis);
        let place = |&(x, y): &Point| {
            (
                x_axis.share(x) * self.width(),
                y_axis.share(y) * self.height(),
            )
        };
        points.iter().map(place).collect()
    }

    fn spot(&self, (x, y): Point) -> Spot {
        (
            self.plot.left + x.round() as i32,
            self.plot.bottom - y.round() as i32,
        )
    }

    fn thinned(&self, points: &[Point]) -> Vec<Point> {
        extremes(&self.placed(points), self.width(), COLUMNS)
    }

    fn line(&self, placed: &[Point], ink: Ink) -> DrawResult<DB> {
        self.inside(placed)
            .into_iter()
            .try_for_each(|run| self.canvas.line(run, ink, 7))
    }

    /// Returns the runs of points inside the plot, without duplicates.
    fn inside(&self, placed: &[Point]) -> Vec<Vec<Spot>> {
        placed
            // A line is broken where it leaves the plot: clamped to its edge it would show values
            // that nothing had.
            .split(|&point| !self.holds(point))
            .map(|run| {
                let mut spots: Vec<Spot> = run.iter().map(|&point| self.spot(point)).collect();
                // Points that fall on one spot make the SVG larger and nothing else.
                spots.dedup();
                spots
            })
            .collect()
    }

    fn holds(&self, (x, y): Point) -> bool {
        (0.0..=self.width()).contains(&x) && (0.0..=self.height()).contains(&y)
    }

    fn band(&self, points: &[Point], ink: Ink) -> DrawResult<DB> {
        let columns = envelope(&self.placed(points), self.width(), BAND_COLUMNS);
        let spot = |at: f64, value: f64| self.spot((at, value.min(self.height())));
        let (Some(first), Some(last)) = (columns.first(), columns.last()) else {
            return Ok(());
        };
        // The light part reaches down to zero, the darker one is what a column's values span.
        let crest = columns.iter().map(|column| spot(column.at, column.high));
        let floor = [spot(last.at, 0.0), spot(first.at, 0.0)];
        self.canvas
            .fill(crest.clone().chain(floor).collect(), ink, 0.22)?;
        let trough = columns
            .iter()
            .rev()
            .map(|column| spot(column.at, column.low));
        self.canvas
            .fill(crest.clone().chain(trough).collect(), ink, 0.5)?;
        self.canvas.line(crest.collect(), ink, 3)
    }

    fn dots(
        &self,
        points: &[Point],
        cells: (usize, usize),
        (radius, alpha, ink): (i32, f64, Ink),
    ) -> DrawResult<DB> {
        let placed = self.placed(points).into_iter();
        let visible: Vec<Point> = placed.filter(|&point| self.holds(point)).collect();
        one_a_cell(&visible, (self.width(), self.height()), cells)
            .into_iter()
            .try_for_each(|point| self.canvas.dot(self.spot(point), radius, ink, alpha))
    }
}

/// Returns the corners of a line that holds every value until the next.
fn steps(points: &[Point]) -> Vec<Point> {
    let corners = points
        .windows(2)
        .flat_map(|pair| [pair[0], (pair[1].0, pair[0].1)]);
    corners.chain(points.last().copied()).collect()
}

/// Draws a row of ticks; where there are too many, bars as high as the number of events in them.
pub(crate) fn event_row<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    plot: &Plot,
    row: &EventRow,
    top: i32,
    height: i32,
) -> DrawResult<DB> {
    let bottom = top + height;
    canvas.line(
        vec![(plot.left, bottom), (plot.right, bottom)],
        Ink::Grid,
        3,
    )?;
    if row.times.len() <= TICKS {
        return row.times.iter().try_for_each(|&time| {
            let x = plot.x(time.min(plot.x_axis.max));
            canvas.line(vec![(x, top), (x, bottom)], row.ink, 5)
        });
    }
    // So many ticks would be one block of colour: the height shows what the density cannot.
    let counts = histogram(&row.times, plot.x_axis.max, BARS);
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let step = f64::from(plot.right - plot.left) / BARS as f64;
    for (count, index) in counts.into_iter().zip(0..) {
        if count == 0 {
            continue;
        }
        let left = plot.left + (f64::from(index) * step).round() as i32;
        let right = plot.left + (f64::from(index + 1) * step).round() as i32 - 2;
        let bar = f64::from(height) * f64::from(count) / f64::from(most);
        // A single event beside a thousand stays visible.
        let bar_top = bottom - (bar.round() as i32).max(5);
        canvas.block((left, bar_top), (right, bottom), row.ink, 1.0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use plotters::drawing::IntoDrawingArea;

    use super::*;
    use crate::chart::picture::Axis;
    use crate::chart::raster::Raster;
    use crate::chart::units::Quantity;

    #[test]
    fn a_line_that_leaves_the_plot_is_cut_where_it_leaves() {
        let axis = Axis::from_zero(Quantity::Time, 10.0);
        let plot = Plot {
            left: 0,
            right: 100,
            top: 0,
            bottom: 100,
            x_axis: axis,
            y_axis: axis,
        };
        let area = Raster::new(100, 100).into_drawing_area();
        let area = SeriesArea {
            canvas: &Canvas::new(&area).unwrap(),
            plot: &plot,
        };
        let points = [(0.0, 1.0), (1.0, 2.0), (2.0, 99.0), (3.0, 3.0), (4.0, 3.0)];
        let runs = area.inside(&area.placed(&points));
        assert_eq!(runs, [vec![(0, 90), (10, 80)], vec![(30, 70), (40, 70)]]);
    }

    #[test]
    fn steps_hold_their_value() {
        let held = steps(&[(0.0, 1.0), (2.0, 5.0)]);
        assert_eq!(held, [(0.0, 1.0), (2.0, 1.0), (2.0, 5.0)]);
    }
}
