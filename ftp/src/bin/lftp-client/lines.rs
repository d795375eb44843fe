//! How far a transfer is: a bar on a terminal, plain lines elsewhere, or nothing.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use lftp_ftp::{BLOCK_BYTES, Progress};
use lftp_transport::{Runtime, Time};

/// Between two plain lines: a second, or every tenth of the file, but not more often than this.
const LINE_EVERY: Duration = Duration::from_secs(1);
const LINE_AT_MOST_EVERY: Duration = Duration::from_millis(200);

/// The progress of one transfer, on stderr.
pub(crate) enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines(Lines),
}

impl Shown {
    pub(crate) fn new(runtime: &Arc<dyn Runtime>, what: &str, quiet: bool) -> Self {
        if quiet {
            return Self::Nothing;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines(Lines::new(Arc::clone(runtime), what));
        }
        let style = ProgressStyle::with_template(
            "{msg} {wide_bar} {percent:>3}% {binary_bytes}/{binary_total_bytes} \
             {binary_bytes_per_sec} ETA {eta}",
        );
        let bar = ProgressBar::new(0).with_message(what.to_owned());
        Self::Bar(style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style)))
    }

    /// Leaves the terminal as it was.
    pub(crate) fn clear(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Shown {
    fn begin(&self, total_bytes: u64) {
        match self {
            Self::Nothing => {}
            Self::Bar(bar) => bar.set_length(total_bytes),
            Self::Lines(lines) => lines.begin(total_bytes),
        }
    }

    /// What has arrived of a file that is verified as a whole; of a longer one only what is
    /// verified counts.
    fn at(&self, bytes: u64) {
        let is_long = match self {
            Self::Nothing => true,
            Self::Bar(bar) => bar.length().is_some_and(|total| total > BLOCK_BYTES),
            Self::Lines(lines) => lines.state().total_bytes > BLOCK_BYTES,
        };
        if !is_long {
            self.show(bytes);
        }
    }

    fn resumed(&self, bytes: u64) {
        match self {
            Self::Nothing => {}
            Self::Bar(bar) => {
                bar.set_position(bytes);
                // What was there before is no speed.
                bar.reset_eta();
            }
            Self::Lines(lines) => eprintln!("{}", lines.resumed(bytes)),
        }
    }

    fn grow(&self, total_bytes: u64) {
        match self {
            Self::Nothing => {}
            Self::Bar(bar) => bar.set_length(total_bytes),
            Self::Lines(lines) => lines.state().total_bytes = total_bytes,
        }
    }

    fn verified(&self, bytes: u64) {
        self.show(bytes);
    }
}

impl Shown {
    fn show(&self, bytes: u64) {
        match self {
            Self::Nothing => {}
            Self::Bar(bar) => bar.set_position(bytes),
            Self::Lines(lines) => {
                if let Some(line) = lines.at(bytes) {
                    eprintln!("{line}");
                }
            }
        }
    }
}

/// Plain lines, for logs.
pub(crate) struct Lines {
    runtime: Arc<dyn Runtime>,
    what: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    total_bytes: u64,
    /// What an earlier transfer left.
    earlier: u64,
    begun: Time,
    last: Time,
    last_tenth: u64,
}

impl Lines {
    fn new(runtime: Arc<dyn Runtime>, what: &str) -> Self {
        Self {
            runtime,
            what: what.to_owned(),
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
            earlier: 0,
            begun: now,
            last: now,
            last_tenth: 0,
        };
    }

    /// The line that says where the transfer goes on.
    fn resumed(&self, bytes: u64) -> String {
        let mut state = self.state();
        state.earlier = bytes;
        let (at, of) = (size(bytes), size(state.total_bytes));
        format!("{} goes on at {at} of {of}", self.what)
    }

    /// The line that is due, if one is.
    fn at(&self, bytes: u64) -> Option<String> {
        let now = self.runtime.now();
        let mut state = self.state();
        let since = now.saturating_since(state.last);
        let tenth = bytes.saturating_mul(10) / state.total_bytes.max(1);
        let is_due =
            since >= LINE_EVERY || (tenth > state.last_tenth && since >= LINE_AT_MOST_EVERY);
        if !is_due {
            return None;
        }
        (state.last, state.last_tenth) = (now, tenth);
        Some(line(
            &self.what,
            (state.earlier, bytes, state.total_bytes),
            now.saturating_since(state.begun),
        ))
    }
}

/// `bytes` of `total_bytes`, of which an `earlier` transfer left some.
fn line(what: &str, (earlier, bytes, total_bytes): (u64, u64, u64), took: Duration) -> String {
    let percent = u128::from(bytes) * 100 / u128::from(total_bytes.max(1));
    let rate = per_second(bytes.saturating_sub(earlier), took);
    let left = total_bytes.saturating_sub(bytes);
    let eta = left.checked_div(rate).map(Duration::from_secs);
    let eta = eta.map_or_else(|| "?".to_owned(), |eta| HumanDuration(eta).to_string());
    format!(
        "{what} {percent}% {} of {}, {}/s, ETA {eta}",
        size(bytes),
        size(total_bytes),
        size(rate)
    )
}

/// Bytes a second.
pub(crate) fn per_second(bytes: u64, took: Duration) -> u64 {
    let rate = u128::from(bytes) * 1_000_000_000 / took.as_nanos().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// A size for people.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let line = line("put a", (0, 25 << 20, 100 << 20), Duration::from_secs(5));
        assert_eq!(
            line,
            "put a 25% 25.00 MiB of 100.00 MiB, 5.00 MiB/s, ETA 15 seconds"
        );
    }

    #[test]
    fn an_empty_file_and_no_time_are_no_division_by_zero() {
        assert!(line("get a", (0, 0, 0), Duration::ZERO).contains("ETA"));
    }
}
