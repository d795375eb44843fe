//! One panel of a scatter: its axes, its marks, and a place for every mark's name.

use plotters::prelude::DrawingBackend;

use super::median;
use super::symbol::Symbol;
use crate::chart::canvas::{Canvas, DrawResult, LabelStyle, Spot};
use crate::chart::downsample::Point;
use crate::chart::picture::Axis;
use crate::chart::plot::{Plot, axes, grid, widest};
use crate::chart::style::{Ink, LABEL_EM};
use crate::chart::ticks::ticks;
use crate::chart::units::Quantity;

const RADIUS: i32 = 17;
const NAME_EM: f64 = 36.0;

/// An occupied rectangle: left, top, right, bottom.
type Taken = (i32, i32, i32, i32);

/// The panel of one scenario.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// The scenario's name.
    pub title: String,
    /// The most that can survive the link, bits a second.
    pub achievable: Option<f64>,
    /// The peers that have runs in it.
    pub marks: Vec<Mark>,
}

/// The runs of one peer.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// Its index among the peers.
    pub peer: usize,
    /// Delay in ns and goodput in bits a second.
    pub runs: Vec<Point>,
}

impl Mark {
    /// Returns the median of the delays and that of the rates.
    #[must_use]
    pub(crate) fn middle(&self) -> Point {
        let middle = |pick: fn(&Point) -> f64| {
            let mut values: Vec<f64> = self.runs.iter().map(pick).collect();
            values.sort_by(f64::total_cmp);
            median(&values).unwrap_or(0.0)
        };
        (middle(|run| run.0), middle(|run| run.1))
    }

    /// Returns the peer's symbol.
    pub(super) const fn symbol(&self) -> Symbol {
        Symbol::of(self.peer)
    }
}

/// Draws a panel into a rectangle.
pub(super) fn draw<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    peers: &[String],
    (left, top): Spot,
    (width, height): (i32, i32),
) -> DrawResult<DB> {
    let runs = || panel.marks.iter().flat_map(|mark| &mark.runs);
    // A millisecond at least: below that, all are as good.
    let most = runs().map(|run| run.0).fold(1e6, f64::max) * 1.12;
    // From zero: a panel that starts elsewhere would make small differences look large.
    let x_axis = Axis::from_zero(Quantity::Time, most);
    let most = runs()
        .map(|run| run.1)
        // The achievable line belongs into the picture even where no run comes near it.
        .fold(panel.achievable.unwrap_or(1.0), f64::max)
        * 1.1;
    let y_axis = Axis::from_zero(Quantity::Rate, most);
    let y_ticks = ticks(y_axis, 4);
    let plot = Plot {
        left: left + 40 + widest(&y_ticks) + 28,
        right: left + width - 56,
        top: top + 100,
        bottom: top + height - 130,
        x_axis,
        y_axis,
    };
    let title = LabelStyle::new(LABEL_EM, Ink::Text).bold();
    canvas.text(&panel.title, (plot.left, top + 52), title)?;
    grid(canvas, &plot, &y_ticks)?;
    axes(canvas, &plot, &ticks(x_axis, 4))?;
    if let Some(most) = panel.achievable {
        let y = plot.y(most);
        canvas.dashed(&[(plot.left, y), (plot.right, y)], Ink::Muted, 5)?;
    }
    for mark in &panel.marks {
        for &(x, y) in &mark.runs {
            let spot = (plot.x(x), plot.y(y));
            let symbol = mark.symbol();
            // Every run faintly, so that a median far from all of them is seen to be one.
            symbol.draw(canvas, spot, 9, (symbol.ink, 0.4))?;
        }
    }
    names(canvas, panel, peers, &plot)
}

fn names<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    peers: &[String],
    plot: &Plot,
) -> DrawResult<DB> {
    let spots: Vec<Spot> = panel
        .marks
        .iter()
        .map(|mark| {
            let (x, y) = mark.middle();
            (plot.x(x), plot.y(y))
        })
        .collect();
    // The marks first: a name must not cover another peer's mark.
    let mut taken: Vec<Taken> = spots.iter().map(|&spot| around(spot)).collect();
    let look = LabelStyle::new(NAME_EM, Ink::Text);
    let mut named = Vec::new();
    for (mark, &spot) in panel.marks.iter().zip(&spots) {
        let name = peers.get(mark.peer).map_or("", String::as_str);
        let width = look.width(name);
        // Without a free place the colour alone has to do.
        if let Some((left, y)) = free_place(spot, width, plot, &mut taken) {
            canvas.block((left, y - 24), (left + width, y + 24), Ink::Paper, 0.75)?;
            named.push((name, (left, y)));
            // A name that is not beside its mark is tied to it.
            if y != spot.1 {
                let end = spot.0.clamp(left - 8, left + width + 8);
                let edge = y + (spot.1 - y).signum() * if end == spot.0 { 24 } else { 0 };
                canvas.line(vec![spot, (end, edge)], mark.symbol().ink, 4)?;
            }
        }
    }
    // The first peer on top.
    for (mark, &spot) in panel.marks.iter().zip(&spots).rev() {
        let symbol = mark.symbol();
        symbol.draw(canvas, spot, RADIUS + 4, (Ink::Paper, 1.0))?;
        symbol.draw(canvas, spot, RADIUS, (symbol.ink, 1.0))?;
    }
    named
        .into_iter()
        .try_for_each(|(name, spot)| canvas.text(name, spot, look))
}

const fn around((x, y): Spot) -> Taken {
    (x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS)
}

/// Returns the first free place inside the plot for a name beside its mark (right, left, above,
/// below): the left end of its middle line.
fn free_place((x, y): Spot, width: i32, plot: &Plot, taken: &mut Vec<Taken>) -> Option<Spot> {
    const OFF: i32 = RADIUS + 14;
    const UP: i32 = 48;
    let (right, left, middle) = (x + OFF, x - OFF - width, x - width / 2);
    let places = [
        (right, y),
        (left, y),
        (middle, y - UP),
        (middle, y + UP),
        (right, y - UP),
        (right, y + UP),
        (left, y - UP),
        (left, y + UP),
        (right, y - 2 * UP),
        (left, y - 2 * UP),
        (right, y - 3 * UP),
        (right, y - 4 * UP),
        (right, y + 2 * UP),
    ];
    // The first that fits, in a fixed order: a search for the best would move names between equal
    // runs.
    for place in places {
        let wanted = (place.0, place.1 - 22, place.0 + width, place.1 + 22);
        let inside = wanted.0 >= plot.left
            && wanted.2 <= plot.right + 40
            && wanted.1 >= plot.top - 20
            && wanted.3 <= plot.bottom - 6;
        if inside && !taken.iter().any(|&other| overlap(wanted, other)) {
            taken.push(wanted);
            return Some(place);
        }
    }
    None
}

const fn overlap(a: Taken, b: Taken) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_collide_move_aside() {
        let axis = Axis::from_zero(Quantity::Time, 1.0);
        let plot = Plot {
            left: 0,
            right: 1000,
            top: 0,
            bottom: 1000,
            x_axis: axis,
            y_axis: axis,
        };
        let mut taken = vec![around((500, 500)), around((500, 530))];
        let first = free_place((500, 500), 100, &plot, &mut taken);
        let second = free_place((500, 530), 100, &plot, &mut taken);
        assert_eq!(first, Some((531, 500)));
        assert_eq!(second, Some((369, 530)));
    }
}
