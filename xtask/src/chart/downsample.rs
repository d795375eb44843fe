//! Fewer points, the same picture: whatever is drawn in one column of pixels keeps its least and
//! its greatest value.

/// A point of a series: its x, mostly a time, and its value.
pub(crate) type Point = (f64, f64);

/// One column of the picture.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) struct Column {
    /// The x of its first point.
    pub at: f64,
    /// The least value.
    pub low: f64,
    /// The greatest value.
    pub high: f64,
}

/// Returns at most four points a column: its first, least, greatest and last, in the order in which they
/// came. (The M4 aggregation of Jugel et al., VLDB 2014: a line through them covers the same
/// pixels.) A series that has no more than that already is left alone.
///
/// `points` are in order of x, from 0 to `span`.
#[must_use]
pub(crate) fn extremes(points: &[Point], span: f64, columns: usize) -> Vec<Point> {
    // Nothing to gain, and the original points keep their exact place.
    if points.len() <= columns * 4 {
        return points.to_vec();
    }
    let mut kept = Vec::with_capacity(columns * 4);
    for group in groups(points, span, columns) {
        // In the order in which they came, or the line would go back and forth within the column.
        let mut picks = [0, least(group), greatest(group), group.len() - 1];
        picks.sort_unstable();
        let mut before = None;
        for pick in picks {
            if before != Some(pick) {
                kept.push(group[pick]);
            }
            before = Some(pick);
        }
    }
    kept
}

/// Returns the range of every column that has points.
#[must_use]
pub(crate) fn envelope(points: &[Point], span: f64, columns: usize) -> Vec<Column> {
    groups(points, span, columns)
        .map(|group| Column {
            at: group[0].0,
            low: group[least(group)].1,
            high: group[greatest(group)].1,
        })
        .collect()
}

/// Returns the first point in each cell of a grid of `columns` by `rows` over the picture.
#[must_use]
pub(crate) fn one_a_cell(
    points: &[Point],
    (width, height): (f64, f64),
    (columns, rows): (usize, usize),
) -> Vec<Point> {
    let mut taken = vec![false; (columns + 1) * (rows + 1)];
    let mut kept = Vec::new();
    for &(x, y) in points {
        // One dot of many that would cover each other: the picture is the same and the file a
        // fraction.
        let cell = index(y, height, rows) * (columns + 1) + index(x, width, columns);
        if !taken[cell] {
            taken[cell] = true;
            kept.push((x, y));
        }
    }
    kept
}

/// Returns the number of `times` in each of `columns` equal parts of `span`.
#[must_use]
pub(crate) fn histogram(times: &[f64], span: f64, columns: usize) -> Vec<u32> {
    let mut counts = vec![0; columns];
    for &time in times {
        counts[index(time, span, columns)] += 1;
    }
    counts
}

fn groups(points: &[Point], span: f64, columns: usize) -> impl Iterator<Item = &[Point]> {
    points.chunk_by(move |a, b| index(a.0, span, columns) == index(b.0, span, columns))
}

/// Returns the index of the part of `span`, of `parts`, in which `value` lies.
fn index(value: f64, span: f64, parts: usize) -> usize {
    if span <= 0.0 {
        return 0;
    }
    // The cast saturates: what lies outside counts for the outermost part.
    ((value / span * parts as f64) as usize).min(parts.saturating_sub(1))
}

fn least(group: &[Point]) -> usize {
    pick(group, |a, b| a < b)
}

fn greatest(group: &[Point]) -> usize {
    pick(group, |a, b| a > b)
}

fn pick(group: &[Point], better: impl Fn(f64, f64) -> bool) -> usize {
    let mut best = 0;
    for (at, point) in group.iter().enumerate() {
        if better(point.1, group[best].1) {
            best = at;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp_with_two_spikes() -> Vec<Point> {
        let mut points: Vec<Point> = (0..100_000).map(|at| (f64::from(at), 50.0)).collect();
        points[12_345].1 = 900.0;
        points[67_890].1 = -3.0;
        points
    }

    #[test]
    fn the_extremes_of_a_long_series_survive() {
        let points = ramp_with_two_spikes();
        let few = extremes(&points, 100_000.0, 500);
        assert!(few.len() <= 2_000, "{} points are left", few.len());
        assert!(few.contains(&(12_345.0, 900.0)));
        assert!(few.contains(&(67_890.0, -3.0)));
        assert_eq!(few.first(), points.first());
        assert_eq!(few.last(), points.last());
        assert!(few.is_sorted_by(|a, b| a.0 < b.0), "in order, none twice");
    }

    #[test]
    fn a_short_series_is_left_alone() {
        let points = vec![(0.0, 1.0), (5.0, 2.0), (5.0, 3.0)];
        assert_eq!(extremes(&points, 10.0, 100), points);
        assert!(extremes(&[], 10.0, 100).is_empty());
    }

    #[test]
    fn an_envelope_spans_what_its_column_holds() {
        let columns = envelope(&ramp_with_two_spikes(), 100_000.0, 10);
        assert_eq!(columns.len(), 10);
        assert_eq!(
            columns[1],
            Column {
                at: 10_000.0,
                low: 50.0,
                high: 900.0
            }
        );
        assert_eq!(columns[6].low, -3.0);
    }

    #[test]
    fn dots_on_top_of_each_other_become_one() {
        let dots = vec![
            (1.0, 1.0),
            (1.1, 1.1),
            (9.0, 9.0),
            (10.0, 10.0),
            (11.0, 12.0),
        ];
        let kept = one_a_cell(&dots, (10.0, 10.0), (10, 10));
        assert_eq!(kept, [(1.0, 1.0), (9.0, 9.0)]);
    }

    #[test]
    fn every_time_is_counted_once() {
        let counts = histogram(&[0.0, 0.5, 9.9, 10.0, 11.0], 10.0, 5);
        assert_eq!(counts, [2, 0, 0, 0, 3]);
        assert_eq!(histogram(&[1.0], 0.0, 2), [1, 0]);
    }
}
