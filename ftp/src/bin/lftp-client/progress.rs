//! Progress of a transfer on stderr: a bar on a terminal, plain lines elsewhere, or nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use lftp_ftp::{BLOCK_BYTES, Progress};
use lftp_transport::{Runtime, Time};

/// Interval between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Shortest interval between two plain lines, where every tenth of a file gets one.
const MIN_LINE_INTERVAL: Duration = Duration::from_millis(200);

/// The progress display of one transfer.
pub(crate) enum ProgressDisplay {
    Hidden,
    Bar(ProgressBar),
    Lines(ProgressLines),
}

impl ProgressDisplay {
    pub(crate) fn new(runtime: &Arc<dyn Runtime>, title: &str, quiet: bool) -> Self {
        if quiet {
            return Self::Hidden;
        }
        if !lftp_console::stderr_is_terminal() {
            return Self::Lines(ProgressLines::new(Arc::clone(runtime), title));
        }
        let style = ProgressStyle::with_template(
            "{msg} {wide_bar} {percent:>3}% {binary_bytes}/{binary_total_bytes} \
             {binary_bytes_per_sec} ETA {eta}",
        );
        let bar = ProgressBar::new(0).with_message(title.to_owned());
        Self::Bar(style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style)))
    }

    /// Removes the bar from the terminal.
    pub(crate) fn clear(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Progress for ProgressDisplay {
    fn begin(&self, total_bytes: u64) {
        match self {
            Self::Hidden => {}
            Self::Bar(bar) => bar.set_length(total_bytes),
            Self::Lines(lines) => lines.begin(total_bytes),
        }
    }

    /// Shows the bytes of a file of one block as they arrive. Longer files show verified blocks
    /// only: unverified bytes may have to be sent again.
    fn at(&self, bytes: u64) {
        let has_several_blocks = match self {
            Self::Hidden => true,
            Self::Bar(bar) => bar.length().is_some_and(|total| total > BLOCK_BYTES),
            Self::Lines(lines) => lines.state().total_bytes > BLOCK_BYTES,
        };
        if !has_several_blocks {
            self.show(bytes);
        }
    }

    fn resumed(&self, bytes: u64) {
        match self {
            Self::Hidden => {}
            Self::Bar(bar) => {
                bar.set_position(bytes);
                // Bytes of an earlier transfer must not count into the speed.
                bar.reset_eta();
            }
            Self::Lines(lines) => lftp_console::noteln!("{}", lines.resumed(bytes)),
        }
    }

    fn grow(&self, total_bytes: u64) {
        match self {
            Self::Hidden => {}
            Self::Bar(bar) => bar.set_length(total_bytes),
            Self::Lines(lines) => lines.state().total_bytes = total_bytes,
        }
    }

    fn verified(&self, bytes: u64) {
        self.show(bytes);
    }
}

impl ProgressDisplay {
    fn show(&self, bytes: u64) {
        match self {
            Self::Hidden => {}
            Self::Bar(bar) => bar.set_position(bytes),
            Self::Lines(lines) => {
                if let Some(line) = lines.at(bytes) {
                    lftp_console::noteln!("{line}");
                }
            }
        }
    }
}

/// Progress as plain lines, for logs.
pub(crate) struct ProgressLines {
    runtime: Arc<dyn Runtime>,
    title: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    total_bytes: u64,
    /// Bytes that an earlier transfer left.
    resumed: u64,
    started: Time,
    last_line: Time,
    last_tenth: u64,
}

impl ProgressLines {
    fn new(runtime: Arc<dyn Runtime>, title: &str) -> Self {
        Self {
            runtime,
            title: title.to_owned(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, total_bytes: u64) {
        let now = self.runtime.now();
        let mut state = self.state();
        *state = State {
            total_bytes,
            resumed: 0,
            started: now,
            last_line: now,
            last_tenth: 0,
        };
    }

    /// Returns the line for a transfer that resumes at `bytes`.
    fn resumed(&self, bytes: u64) -> String {
        let mut state = self.state();
        state.resumed = bytes;
        let (at, of) = (size(bytes), size(state.total_bytes));
        format!("{} resumes at {at} of {of}", self.title)
    }

    /// Returns a line if one is due.
    fn at(&self, bytes: u64) -> Option<String> {
        let now = self.runtime.now();
        let mut state = self.state();
        let since = now.saturating_since(state.last_line);
        let tenth = bytes.saturating_mul(10) / state.total_bytes.max(1);
        let is_due =
            since >= LINE_INTERVAL || (tenth > state.last_tenth && since >= MIN_LINE_INTERVAL);
        if !is_due {
            return None;
        }
        (state.last_line, state.last_tenth) = (now, tenth);
        Some(line(
            &self.title,
            (state.resumed, bytes, state.total_bytes),
            now.saturating_since(state.started),
        ))
    }
}

/// Formats the progress at `bytes` of `total_bytes`, the first `resumed` of them from an earlier
/// transfer.
fn line(title: &str, (resumed, bytes, total_bytes): (u64, u64, u64), took: Duration) -> String {
    let percent = u128::from(bytes) * 100 / u128::from(total_bytes.max(1));
    let rate = per_second(bytes.saturating_sub(resumed), took);
    let left = total_bytes.saturating_sub(bytes);
    let eta = left.checked_div(rate).map(Duration::from_secs);
    let eta = eta.map_or_else(|| "?".to_owned(), |eta| HumanDuration(eta).to_string());
    format!(
        "{title} {percent}% {} of {}, {}/s, ETA {eta}",
        size(bytes),
        size(total_bytes),
        size(rate)
    )
}

/// Returns the rate in bytes per second, rounded down.
pub(crate) fn per_second(bytes: u64, took: Duration) -> u64 {
    let rate = u128::from(bytes) * 1_000_000_000 / took.as_nanos().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// Formats a size in binary units.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_percentage_the_speed_and_the_remaining_time() {
        let line = line("put a", (0, 25 << 20, 100 << 20), Duration::from_secs(5));
        assert_eq!(
            line,
            "put a 25% 25.00 MiB of 100.00 MiB, 5.00 MiB/s, ETA 15 seconds"
        );
    }

    #[test]
    fn an_empty_file_in_no_time_does_not_divide_by_zero() {
        assert!(line("get a", (0, 0, 0), Duration::ZERO).contains("ETA"));
    }
}
