//! Goodput against delay: up and left is good. A panel a scenario, a colour a peer.

use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::prelude::DrawingBackend;

use super::panel::{self, Panel};
use super::symbol::Symbol;
use crate::chart::canvas::{Canvas, DrawResult};
use crate::chart::legend::{self, Entry, Swatch};
use crate::chart::plot::heading;
use crate::chart::style::{Ink, WIDTH};

/// The position of the legend, and the margin around it.
const HEAD: i32 = 260;
const GAP: i32 = 40;

/// The chart: a panel for each scenario.
#[derive(Clone, Debug)]
pub(crate) struct Scatter {
    /// The title.
    pub title: String,
    /// The subtitle, which names the runs.
    pub subtitle: String,
    /// The names of the peers, in the order of their symbols.
    pub peers: Vec<String>,
    /// The panels, one for each scenario.
    pub panels: Vec<Panel>,
}

impl Scatter {
    /// Returns the number of panels in a row, and their height.
    const fn grid(&self) -> (i32, i32) {
        match self.panels.len() {
            // Fewer columns for fewer scenarios: a lone panel uses the whole width.
            0 | 1 => (1, 1400),
            2..=4 => (2, 980),
            _ => (3, 800),
        }
    }

    /// Returns the entries of the legend.
    fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.peers.iter().zip(0..).map(entry).collect();
        if self.panels.iter().any(|panel| panel.achievable.is_some()) {
            let label = "achievable".to_owned();
            entries.push(Entry {
                swatch: Swatch::Dashes,
                ink: Ink::Muted,
                label,
            });
        }
        entries
    }

    /// Returns the top of the panels.
    fn top(&self) -> i32 {
        HEAD + legend::height(&self.entries(), WIDTH as i32)
    }

    /// Returns width and height of the drawing.
    #[must_use]
    pub(crate) fn size(&self) -> (u32, u32) {
        let (columns, height) = self.grid();
        let count = i32::try_from(self.panels.len().max(1)).unwrap_or(1);
        let rows = (count + columns - 1) / columns;
        (WIDTH, (self.top() + rows * height + 24).unsigned_abs())
    }

    /// Draws the chart over the whole area.
    ///
    /// # Errors
    /// The backend's.
    pub(crate) fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> DrawResult<DB> {
        let canvas = Canvas::new(area)?;
        let below = heading(&canvas, &self.title, &self.subtitle)?;
        legend::draw(&canvas, &self.entries(), below)?;
        let (columns, height) = self.grid();
        let width = (WIDTH as i32 - GAP) / columns;
        for (one, index) in self.panels.iter().zip(0..) {
            let (column, row) = (index % columns, index / columns);
            let corner = (GAP / 2 + column * width, self.top() + row * height);
            panel::draw(&canvas, one, &self.peers, corner, (width, height))?;
        }
        Ok(())
    }
}

fn entry((peer, index): (&String, usize)) -> Entry {
    Entry {
        swatch: Symbol::of(index).swatch(),
        ink: Symbol::of(index).ink,
        label: peer.clone(),
    }
}
