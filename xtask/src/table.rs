//! Tables on the terminal: aligned columns under a heading.
//!
//! Ours rather than a library's: `speed` and `loopback` print a row as soon as it is measured,
//! with widths fixed beforehand, while the table libraries lay out all rows at once.

use std::fmt::Write as _;

/// A column: its title, its least width in characters, and its alignment.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Column {
    title: &'static str,
    width: usize,
    right: bool,
}

impl Column {
    /// A column of text, flush left.
    pub(crate) const fn left(title: &'static str, width: usize) -> Self {
        Self {
            title,
            width,
            right: false,
        }
    }

    /// A column of numbers, flush right.
    pub(crate) const fn right(title: &'static str, width: usize) -> Self {
        Self {
            title,
            width,
            right: true,
        }
    }
}

/// The layout of a table of `N` columns.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Table<const N: usize> {
    columns: [Column; N],
    gap: usize,
}

impl<const N: usize> Table<N> {
    /// Lays out columns two spaces apart.
    pub(crate) const fn new(columns: [Column; N]) -> Self {
        Self { columns, gap: 2 }
    }

    /// Lays out columns a single space apart, for tables that would not fit otherwise.
    pub(crate) const fn narrow(columns: [Column; N]) -> Self {
        Self { columns, gap: 1 }
    }

    /// The line of titles, without a line break.
    pub(crate) fn heading(&self) -> String {
        self.row(self.columns.map(|column| column.title))
    }

    /// The line of one row, without a line break. A cell that is too wide moves the rest along.
    pub(crate) fn row(&self, cells: [impl AsRef<str>; N]) -> String {
        let mut line = String::new();
        for (index, (column, cell)) in self.columns.iter().zip(&cells).enumerate() {
            let (cell, width) = (cell.as_ref(), column.width);
            let gap = if index > 0 { self.gap } else { 0 };
            let _ = if column.right {
                write!(line, "{:gap$}{cell:>width$}", "")
            } else {
                write!(line, "{:gap$}{cell:<width$}", "")
            };
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_under_their_titles() {
        let table = Table::new([
            Column::left("name", 6),
            Column::right("count", 7),
            Column::left("note", 8),
        ]);
        assert_eq!(table.heading(), "name      count  note");
        assert_eq!(table.row(["ab", "12", ""]), "ab           12");
        assert_eq!(
            table.row(["far too long", "1234567", "x"]),
            "far too long  1234567  x"
        );
        let narrow = Table::narrow([Column::left("a", 1), Column::right("b", 2)]);
        assert_eq!(narrow.row(["x", "y"]), "x  y");
    }
}
