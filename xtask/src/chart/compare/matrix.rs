//! A heat map of shares: a row a peer, a column a scenario, the number in every cell.

use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::median;
use crate::chart::canvas::{Canvas, DrawResult, LabelStyle};
use crate::chart::plot::{MARGIN, heading};
use crate::chart::style::{Ink, LABEL_EM};

const ROW_HEIGHT: i32 = 128;
const HEAD_HEIGHT: i32 = 90;
const TOP: i32 = 240;
const LEAST_CELL: i32 = 300;
const LEAST_WIDTH: i32 = 2000;
const NAMES: LabelStyle = LabelStyle::new(LABEL_EM, Ink::Text);

/// Shares of one, in rows and columns.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    /// The title.
    pub title: String,
    /// The subtitle, which names the runs.
    pub subtitle: String,
    /// The headings of the columns.
    pub columns: Vec<String>,
    /// The headings of the rows.
    pub rows: Vec<String>,
    /// Cells, row by row; `None` where there was no run.
    pub cells: Vec<Vec<Option<Cell>>>,
}

/// The result of one cell's runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cell {
    /// Efficiencies of the finished runs, sorted.
    pub ratios: Vec<f64>,
    /// The number of runs that did not finish.
    pub failed: usize,
}

/// Positions and sizes on the canvas.
struct Layout {
    left: i32,
    cell: i32,
    width: i32,
    height: i32,
}

impl Matrix {
    fn layout(&self) -> Layout {
        let widest = |names: &[String]| names.iter().map(|name| NAMES.width(name)).max();
        let left = MARGIN + widest(&self.rows).unwrap_or(0) + 40;
        // At least one: the width is divided by it.
        let columns = i32::try_from(self.columns.len().max(1)).unwrap_or(1);
        // As wide as the longest name: names are not turned or cut.
        let wanted = (widest(&self.columns).unwrap_or(0) + 48).max(LEAST_CELL);
        let width = (left + columns * wanted + MARGIN).max(LEAST_WIDTH);
        let cell = (width - left - MARGIN) / columns;
        let rows = i32::try_from(self.rows.len()).unwrap_or(0);
        let height = TOP + HEAD_HEIGHT + rows * ROW_HEIGHT + MARGIN;
        // Both even, so that half of them are whole pixels.
        Layout {
            left,
            cell,
            width: width & !1,
            height: height & !1,
        }
    }

    /// Width and height of the drawing.
    #[must_use]
    pub(crate) fn size(&self) -> (u32, u32) {
        let layout = self.layout();
        (layout.width.unsigned_abs(), layout.height.unsigned_abs())
    }

    /// Draws the chart over the whole area.
    ///
    /// # Errors
    /// The backend's.
    pub(crate) fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> DrawResult<DB> {
        let canvas = Canvas::new(area)?;
        heading(&canvas, &self.title, &self.subtitle)?;
        let layout = self.layout();
        for (name, index) in self.columns.iter().zip(0..) {
            let middle = layout.left + index * layout.cell + layout.cell / 2;
            let look = NAMES.bold().at(HPos::Center);
            canvas.text(name, (middle, TOP + HEAD_HEIGHT / 2 - 8), look)?;
        }
        for ((name, row), index) in self.rows.iter().zip(&self.cells).zip(0..) {
            let top = TOP + HEAD_HEIGHT + index * ROW_HEIGHT;
            let spot = (layout.left - 32, top + ROW_HEIGHT / 2);
            canvas.text(name, spot, NAMES.at(HPos::Right))?;
            for (cell, index) in row.iter().zip(0..) {
                let left = layout.left + index * layout.cell;
                draw_cell(&canvas, cell.as_ref(), (left, top), layout.cell)?;
            }
        }
        Ok(())
    }
}

fn draw_cell<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    cell: Option<&Cell>,
    (left, top): (i32, i32),
    width: i32,
) -> DrawResult<DB> {
    let (right, bottom) = (left + width - 6, top + ROW_HEIGHT - 6);
    let middle = (left + right) / 2;
    let center = i32::midpoint(top, bottom);
    let Some(cell) = cell else {
        canvas.block((left, top), (right, bottom), Ink::Grid, 0.5)?;
        return canvas.text("–", (middle, center), NAMES.at(HPos::Center));
    };
    let number = median(&cell.ratios);
    let share = number.unwrap_or(0.0);
    canvas.block((left, top), (right, bottom), shade(share), 1.0)?;
    // About where dark text on the cell's blue becomes harder to read than white.
    let ink = if share > 0.7 {
        Ink::OnDark
    } else {
        Ink::OnLight
    };
    let large = number.map_or_else(|| "not finished".to_owned(), short);
    let small = small_print(cell);
    // The large number alone is centred in its cell.
    let up = if small.is_empty() { 0 } else { 20 };
    canvas.text(
        &large,
        (middle, center - up),
        LabelStyle::new(50.0, ink).bold().at(HPos::Center),
    )?;
    if small.is_empty() {
        return Ok(());
    }
    canvas.text(
        &small,
        (middle, center + 34),
        LabelStyle::new(32.0, ink).at(HPos::Center),
    )
}

/// Returns the number of unfinished runs or, if all finished, the range of their shares.
fn small_print(cell: &Cell) -> String {
    match cell.ratios.as_slice() {
        [] => String::new(),
        // Unfinished runs are the news: the spread of the rest would hide them.
        ratios if cell.failed > 0 => {
            format!(
                "{} of {} unfinished",
                cell.failed,
                cell.failed + ratios.len()
            )
        }
        [first, .., last] => format!("{} – {}", short(*first), short(*last)),
        [_] => String::new(),
    }
}

/// Formats a share with two decimals, or three where two would be zero.
fn short(share: f64) -> String {
    let places = if share > 0.0 && share < 0.01 { 3 } else { 2 };
    format!("{share:.places$}")
}

/// Returns the colour of a share, from pale to deep blue: dark is good, and the order survives a
/// grey printer.
fn shade(share: f64) -> Ink {
    const STOPS: [(f64, [f64; 3]); 5] = [
        (0.0, [250.0, 240.0, 220.0]),
        (0.25, [214.0, 226.0, 222.0]),
        (0.5, [142.0, 190.0, 212.0]),
        (0.75, [46.0, 128.0, 184.0]),
        (1.0, [8.0, 64.0, 129.0]),
    ];
    let share = share.clamp(0.0, 1.0);
    let upper = STOPS
        .iter()
        .position(|stop| stop.0 >= share)
        .unwrap_or(STOPS.len() - 1)
        .max(1);
    let ((from, low), (to, high)) = (STOPS[upper - 1], STOPS[upper]);
    let part = (share - from) / (to - from);
    let mix = |channel: usize| (low[channel] + (high[channel] - low[channel]) * part) as u8;
    Ink::Exact(mix(0), mix(1), mix(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_share_is_not_told_as_none() {
        let texts: Vec<String> = [0.0, 0.0012, 0.0123, 0.974]
            .into_iter()
            .map(short)
            .collect();
        assert_eq!(texts, ["0.00", "0.001", "0.01", "0.97"]);
    }

    #[test]
    fn the_shade_grows_darker_with_the_share() {
        let light = |share: f64| {
            let color = shade(share).light();
            u32::from(color.0) + u32::from(color.1) + u32::from(color.2)
        };
        let all: Vec<u32> = (0..=20).map(|step| light(f64::from(step) / 20.0)).collect();
        assert!(all.is_sorted_by(|a, b| a > b), "{all:?}");
    }
}
