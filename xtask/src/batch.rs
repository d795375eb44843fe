//! Many runs in virtual time, as many at once as there are processors.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::CommandError;
use crate::rows::Summary;
use crate::run::{Plan, RunProgress};

/// Runs every plan and returns the summaries in the same order.
///
/// # Errors
/// [`CommandError`] of the first run that could not start.
pub(crate) fn run_all(label: &str, plans: &[Plan]) -> Result<Vec<Summary>, CommandError> {
    run_each(label, plans, run)
}

/// Runs every item and returns the results in the same order.
///
/// # Errors
/// [`CommandError`] of the first run that could not start.
pub(crate) fn run_each<T: Sync, R: Send>(
    label: &str,
    items: &[T],
    run: impl Fn(&T) -> Result<R, CommandError> + Sync,
) -> Result<Vec<R>, CommandError> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<R, CommandError>>>> =
        Mutex::new((0..items.len()).map(|_| None).collect());
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(items.len());
    let bar = bar(label, items.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((index, item)) = take(&next, items) {
                    let result = run(item);
                    results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(result);
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().flatten().collect()
}

fn take<'a, T>(next: &AtomicUsize, items: &'a [T]) -> Option<(usize, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    items.get(index).map(|item| (index, item))
}

/// Runs a plan.
///
/// # Errors
/// [`CommandError`] when it could not start.
pub(crate) fn run(plan: &Plan) -> Result<Summary, CommandError> {
    match plan.run(&Arc::new(RunProgress::default())) {
        Ok(record) => Ok(record.summary),
        Err(source) => Err(CommandError::Run {
            command: plan.command(),
            source,
        }),
    }
}

fn bar(label: &str, runs: usize) -> indicatif::ProgressBar {
    if !lftp_console::stderr_is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let bar = indicatif::ProgressBar::new(runs as u64);
    if let Ok(style) = indicatif::ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")
    {
        bar.set_style(style);
    }
    bar.set_message(label.to_owned());
    bar
}

/// The median; of two middle values the lower.
pub(crate) fn median<T: Copy + PartialOrd>(numbers: &[T]) -> Option<T> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

/// The minimum.
pub(crate) fn least(numbers: &[f64]) -> Option<f64> {
    numbers.iter().copied().reduce(f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_one_of_the_numbers() {
        assert_eq!(median(&[3, 1, 2]), Some(2));
        assert_eq!(median(&[4, 1, 2, 3]), Some(2));
        assert_eq!(median::<u64>(&[]), None);
    }
}
