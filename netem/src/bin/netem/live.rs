//! The live view of a running proxy: redrawn in place on a terminal, elsewhere a line each time.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lftp_netem::{
    link::Counters,
    proxy::{ProxyHandle, ProxyReport},
};

use crate::report;

pub(crate) struct Live {
    proxy: ProxyHandle,
    before: Option<ProxyReport>,
    screen: Screen,
}

enum Screen {
    /// One progress bar, showing only text, for each line. The terminal stays in its mode, so
    /// there is nothing to restore when netem ends, for any reason.
    Terminal(MultiProgress, Vec<ProgressBar>),
    Lines,
}

impl Live {
    pub(crate) fn new(proxy: ProxyHandle) -> Self {
        Self {
            before: proxy.report().ok(),
            proxy,
            screen: match lftp_console::stderr_is_terminal() {
                true => Screen::Terminal(MultiProgress::new(), Vec::new()),
                false => Screen::Lines,
            },
        }
    }

    /// Draws the current state; nothing once the proxy has stopped.
    pub(crate) fn draw(&mut self) {
        let (Ok(now), Some(before)) = (self.proxy.report(), self.before.take()) else {
            return;
        };
        match &mut self.screen {
            Screen::Terminal(screen, bars) => {
                let table = table(&before, &now);
                while bars.len() < table.len() {
                    bars.push(screen.add(text_line()));
                }
                for (bar, line) in bars.iter().zip(table) {
                    bar.set_message(line);
                    bar.tick();
                }
            }
            Screen::Lines => lftp_console::noteln!("{}", lines(&before, &now).join(" | ")),
        }
        self.before = Some(now);
    }
}

/// A progress bar that shows only text. A template that does not parse would still show the text.
fn text_line() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The view as single lines: the rates between two reports, and the state at the second.
fn lines(before: &ProxyReport, now: &ProxyReport) -> Vec<String> {
    let ns = now.duration_ns.saturating_sub(before.duration_ns).max(1);
    let forward = (&before.forward, &now.forward, now.forward_queue_bytes);
    let reverse = (&before.reverse, &now.reverse, now.reverse_queue_bytes);
    vec![
        status(now),
        direction("forward", forward, ns),
        direction("reverse", reverse, ns),
        lateness(now),
    ]
}

/// The view as a table, no wider than 80 columns and of the same height each time: what else
/// happened to packets has a line for each direction.
fn table(before: &ProxyReport, now: &ProxyReport) -> Vec<String> {
    let ns = now.duration_ns.saturating_sub(before.duration_ns).max(1);
    let heading = format!(
        "{:7}  {:>9}  {:>9}  {:>9}  {:>8}  {:>9}  {:>7}  {:>7}",
        "", "Mbit/s in", "out", "packets/s", "queued", "inside", "lost", "dropped"
    );
    vec![
        status(now),
        heading,
        row(
            "forward",
            (&before.forward, &now.forward, now.forward_queue_bytes),
            ns,
        ),
        row(
            "reverse",
            (&before.reverse, &now.reverse, now.reverse_queue_bytes),
            ns,
        ),
        lateness(now),
        others("forward", &now.forward),
        others("reverse", &now.reverse),
    ]
}

fn status(now: &ProxyReport) -> String {
    let validity = if now.valid { "valid" } else { "not valid" };
    let clients = match now.proxy.flows {
        1 => "1 client".to_owned(),
        flows => format!("{flows} clients"),
    };
    format!(
        "{:.1} s, {validity}, {clients}, own drops {}",
        now.duration_ns as f64 / 1e9,
        now.proxy.own_drops()
    )
}

fn lateness(now: &ProxyReport) -> String {
    let late = now.lateness;
    format!(
        "late: half within {}, 99 % within {}, at most {}",
        time(late.p50_ns),
        time(late.p99_ns),
        time(late.max_ns)
    )
}

fn time(ns: u64) -> String {
    match ns {
        0..1_000_000 => format!("{:.0} us", ns as f64 / 1e3),
        1_000_000..10_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.1} s", ns as f64 / 1e9),
    }
}

/// Rates of a direction between two reports: Mbit/s in, Mbit/s out, packets/s out.
fn rates(before: &Counters, now: &Counters, ns: u64) -> (f64, f64, f64) {
    let seconds = ns as f64 / 1e9;
    let mbit = |bytes: u64| bytes as f64 * 8.0 / 1e6 / seconds;
    (
        mbit(now.bytes_in.saturating_sub(before.bytes_in)),
        mbit(now.bytes_delivered.saturating_sub(before.bytes_delivered)),
        now.delivered.saturating_sub(before.delivered) as f64 / seconds,
    )
}

/// Time that packets spend inside, in milliseconds, by Little's law: the number inside is the rate
/// at which they come times the time that they stay.
fn sojourn_ms(before: &Counters, now: &Counters, packets_per_s: f64) -> Option<f64> {
    let inside = (before.inside() + now.inside()) as f64 / 2.0;
    (packets_per_s > 0.0).then(|| inside / packets_per_s * 1e3)
}

/// Counters at two reports, and the queue in bytes at the second.
type Interval<'a> = (&'a Counters, &'a Counters, u64);

fn row(name: &str, (before, now, queue_bytes): Interval<'_>, ns: u64) -> String {
    let (mbit_in, mbit_out, packets) = rates(before, now, ns);
    let sojourn =
        sojourn_ms(before, now, packets).map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
    let queued = match queue_bytes {
        0..100_000 => format!("{queue_bytes} B"),
        bytes => format!("{} kB", bytes / 1000),
    };
    let dropped = now.queue_drops + now.early_drops + now.mtu_drops;
    format!(
        "{name:7}  {mbit_in:9.2}  {mbit_out:9.2}  {packets:9.0}  {queued:>8}  {sojourn:>9}  {:7}  \
         {dropped:7}",
        now.lost() - dropped,
    )
}

/// Counts for which the table has no column.
fn others(name: &str, now: &Counters) -> String {
    let counts: Vec<String> = report::other_counts(now)[6..]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    match counts.is_empty() {
        true => String::new(),
        false => format!("{name}: {}", counts.join(", ")),
    }
}

fn direction(name: &str, (before, now, queue_bytes): Interval<'_>, ns: u64) -> String {
    let (mbit_in, mbit_out, packets) = rates(before, now, ns);
    let mut line = format!(
        "{name} {mbit_in:.2} Mbit/s in, {mbit_out:.2} out, {packets:.0} packets/s, \
         {queue_bytes} B queued"
    );
    if let Some(ms) = sojourn_ms(before, now, packets) {
        line += &format!(", about {ms:.1} ms inside");
    }
    for (count, what) in report::other_counts(now) {
        if count > 0 {
            line += &format!(", {count} {what}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use lftp_netem::{Direction, link::Link, packet::Packet, profile::NetworkProfile};

    use super::*;

    /// Counters of a link after ten packets of 1,000 bytes, the last still inside.
    fn counters(network: &str) -> Counters {
        let profile = NetworkProfile::from_toml_str(network).unwrap();
        let mut link = Link::new(&profile.forward(), 1, Direction::Forward);
        let address = "10.0.0.1:1".parse().unwrap();
        for ms in 0..10 {
            let now = lftp_netem::Time::from_nanos(ms * 1_000_000);
            link.push(now, Packet::new(address, address, 0, vec![0; 972]));
            while link.pop(now).is_some() {}
        }
        link.counters().clone()
    }

    #[test]
    fn a_row_has_its_numbers_below_their_headings_within_eighty_columns() {
        let now = counters("delay = '500us'");
        let line = row(
            "forward",
            (&Counters::default(), &now, 1_234_567),
            1_000_000_000,
        );
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(
            words,
            [
                "forward", "0.08", "0.07", "9", "1234", "kB", "55.6", "ms", "0", "0"
            ]
        );
        assert_eq!(line.len(), 79);
        assert_eq!(others("forward", &now), "");
    }

    #[test]
    fn what_has_no_column_is_written_out() {
        let now = counters("duplicate = '100%'");
        assert_eq!(others("reverse", &now), "reverse: 10 duplicated");
    }

    #[test]
    fn times_are_shown_in_a_unit_that_suits() {
        let shown = [17_300, 167_772_000, 12_000_000_000].map(time);
        assert_eq!(shown, ["17 us", "167.8 ms", "12.0 s"]);
    }
}
