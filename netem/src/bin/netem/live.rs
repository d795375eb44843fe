//! How a running proxy is doing, drawn anew again and again: on a terminal in place, elsewhere a
//! line each time.

use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lftp_netem::{
    link::Counters,
    proxy::{ProxyHandle, ProxyReport},
};

use crate::words;

/// The view.
pub(crate) struct Live {
    proxy: ProxyHandle,
    before: Option<ProxyReport>,
    screen: Screen,
}

enum Screen {
    /// One bar, without a bar, for each line. The terminal is never put into another mode, so
    /// there is nothing to put right when netem ends, whyever.
    Terminal(MultiProgress, Vec<ProgressBar>),
    Lines,
}

impl Live {
    pub(crate) fn new(proxy: ProxyHandle) -> Self {
        Self {
            before: proxy.report().ok(),
            proxy,
            screen: match std::io::stderr().is_terminal() {
                true => Screen::Terminal(MultiProgress::new(), Vec::new()),
                false => Screen::Lines,
            },
        }
    }

    /// Draws what is so now; nothing once the proxy has stopped.
    pub(crate) fn draw(&mut self) {
        let (Ok(now), Some(before)) = (self.proxy.report(), self.before.take()) else {
            return;
        };
        let lines = lines(&before, &now);
        match &mut self.screen {
            Screen::Terminal(screen, bars) => {
                while bars.len() < lines.len() {
                    bars.push(screen.add(bare()));
                }
                for (bar, line) in bars.iter().zip(lines) {
                    bar.set_message(line);
                    bar.tick();
                }
            }
            Screen::Lines => eprintln!("{}", lines.join(" | ")),
        }
        self.before = Some(now);
    }
}

/// A line of text. A template that does not parse would still show the text.
fn bare() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The view's text: what happened between two reports, and what is so at the second.
fn lines(before: &ProxyReport, now: &ProxyReport) -> Vec<String> {
    let ns = now.duration_ns.saturating_sub(before.duration_ns).max(1);
    let verdict = if now.valid { "valid" } else { "not valid" };
    let late = now.lateness;
    vec![
        format!(
            "{:.1} s, {verdict}, {} clients, own drops {}",
            now.duration_ns as f64 / 1e9,
            now.proxy.flows,
            now.proxy.own_drops()
        ),
        direction(
            "forward",
            &before.forward,
            &now.forward,
            now.forward_queue_bytes,
            ns,
        ),
        direction(
            "reverse",
            &before.reverse,
            &now.reverse,
            now.reverse_queue_bytes,
            ns,
        ),
        format!(
            "late p50 {:.0} us, p99 {:.0} us, at most {:.0} us",
            late.p50_ns as f64 / 1e3,
            late.p99_ns as f64 / 1e3,
            late.max_ns as f64 / 1e3
        ),
    ]
}

fn direction(name: &str, before: &Counters, now: &Counters, queue_bytes: u64, ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    let mbit = |bytes: u64| bytes as f64 * 8.0 / 1e6 / seconds;
    let came = now.delivered.saturating_sub(before.delivered);
    let mut line = format!(
        "{name} {:.2} Mbit/s in, {:.2} out, {:.0} packets/s, {queue_bytes} B queued",
        mbit(now.bytes_in.saturating_sub(before.bytes_in)),
        mbit(now.bytes_delivered.saturating_sub(before.bytes_delivered)),
        came as f64 / seconds,
    );
    if came > 0 {
        // Little's law: how many are inside is how many come a second times how long they stay.
        let inside = (before.inside() + now.inside()) as f64 / 2.0;
        line += &format!(", about {:.1} ms", inside / (came as f64 / seconds) * 1e3);
    }
    for (count, what) in words::happened(now) {
        if count > 0 {
            line += &format!(", {count} {what}");
        }
    }
    line
}
