//! The symbol of a peer: a colour, and a shape where the colours start over.

use plotters::prelude::DrawingBackend;

use crate::chart::canvas::{Canvas, DrawResult, Spot};
use crate::chart::legend::Swatch;
use crate::chart::style::{Ink, SERIES};

/// A peer's mark.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) ink: Ink,
    shape: Shape,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Shape {
    Dot,
    Square,
    Diamond,
}

impl Symbol {
    /// Returns the symbol of the peer with this index.
    pub(super) const fn of(peer: usize) -> Self {
        let shape = match (peer / SERIES.len()) % 3 {
            0 => Shape::Dot,
            1 => Shape::Square,
            _ => Shape::Diamond,
        };
        Self {
            ink: SERIES[peer % SERIES.len()],
            shape,
        }
    }

    /// Returns its sample in the legend.
    pub(super) const fn swatch(self) -> Swatch {
        match self.shape {
            Shape::Dot => Swatch::Dot,
            Shape::Square => Swatch::Square,
            Shape::Diamond => Swatch::Diamond,
        }
    }

    /// Draws the symbol, about as large as a circle of this radius.
    pub(super) fn draw<DB: DrawingBackend>(
        self,
        canvas: &Canvas<'_, DB>,
        spot: Spot,
        radius: i32,
        (ink, alpha): (Ink, f64),
    ) -> DrawResult<DB> {
        match self.shape {
            Shape::Dot => canvas.dot(spot, radius, ink, alpha),
            Shape::Square => canvas.square(spot, radius * 8 / 9, ink, alpha),
            Shape::Diamond => canvas.diamond(spot, radius * 5 / 4, ink, alpha),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighteen_peers_all_look_different() {
        let all: Vec<Symbol> = (0..18).map(Symbol::of).collect();
        for (index, symbol) in all.iter().enumerate() {
            assert!(!all[..index].contains(symbol), "{index}");
        }
    }
}
