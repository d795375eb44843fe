//! Goodput against delay: up and left is good. A panel a scenario, a colour a peer.

use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::prelude::DrawingBackend;

use super::median;
use super::panel;
use super::symbol::Symbol;
use crate::chart::canvas::{Canvas, Drawn};
use crate::chart::downsample::Point;
use crate::chart::draw::heading;
use crate::chart::legend::{self, Entry, Swatch};
use crate::chart::style::{Ink, WIDTH};

/// The position of the legend, and the margin around it.
const HEAD: i32 = 260;
const GAP: i32 = 40;

/// All the panels.
#[derive(Clone, Debug)]
pub(crate) struct Scatter {
    /// The title.
    pub title: String,
    /// Of which runs.
    pub subtitle: String,
    /// Their names, in the order of their colours.
    pub peers: Vec<String>,
    /// A scenario each.
    pub panels: Vec<Panel>,
}

/// One scenario.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// Its name.
    pub title: String,
    /// The most that can survive the link, bits a second.
    pub achievable: Option<f64>,
    /// The peers that have runs in it.
    pub marks: Vec<Mark>,
}

/// One peer's runs.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// Its place among the peers.
    pub peer: usize,
    /// Delay in ns and goodput in bits a second.
    pub runs: Vec<Point>,
}

impl Mark {
    /// The median of both.
    #[must_use]
    pub(crate) fn middle(&self) -> Point {
        let middle = |pick: fn(&Point) -> f64| {
            let mut values: Vec<f64> = self.runs.iter().map(pick).collect();
            values.sort_by(f64::total_cmp);
            median(&values).unwrap_or(0.0)
        };
        (middle(|run| run.0), middle(|run| run.1))
    }

    /// Its symbol.
    pub(super) const fn symbol(&self) -> Symbol {
        Symbol::of(self.peer)
    }
}

impl Scatter {
    /// Panels in a row, and their height.
    const fn grid(&self) -> (i32, i32) {
        match self.panels.len() {
            0 | 1 => (1, 1400),
            2..=4 => (2, 980),
            _ => (3, 800),
        }
    }

    /// The entries of the legend.
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

    /// The top of the panels.
    fn top(&self) -> i32 {
        HEAD + legend::height(&self.entries(), WIDTH as i32)
    }

    /// Width and height of the drawing.
    #[must_use]
    pub(crate) fn size(&self) -> (u32, u32) {
        let (columns, height) = self.grid();
        let count = i32::try_from(self.panels.len().max(1)).unwrap_or(1);
        let rows = (count + columns - 1) / columns;
        (WIDTH, (self.top() + rows * height + 24).unsigned_abs())
    }

    /// Draws it over the whole area.
    ///
    /// # Errors
    /// The backend's.
    pub(crate) fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Drawn<DB> {
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
