//! A progress bar beside a long run.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::run::RunProgress;

/// The interval at which the bar is redrawn.
const TICK: Duration = Duration::from_millis(100);

/// Ticks between two lines of progress where stderr is no terminal.
const LINE_TICKS: u32 = 100;

/// Runs `work` and shows its progress.
pub(crate) fn watch<T>(label: &str, steps: &Arc<RunProgress>, work: impl FnOnce() -> T) -> T {
    let (done, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || show(label, steps, &ended));
        let result = work();
        drop(done);
        result
    })
}

fn show(label: &str, steps: &RunProgress, ended: &mpsc::Receiver<()>) {
    let terminal = lftp_console::stderr_is_terminal();
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let template = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(label.to_owned());
    let mut ticks = 0_u32;
    while ended.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
        let (at, total) = steps.get();
        bar.set_length(total);
        bar.set_position(at);
        ticks += 1;
        if !terminal && ticks.is_multiple_of(LINE_TICKS) {
            lftp_console::noteln!("{label}: {} of {} MiB", at >> 20, total >> 20);
        }
    }
    bar.finish_and_clear();
}
