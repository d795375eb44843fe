//! The report as text.

use std::io::{self, Write};

use lftp_netem::{
    link::Counters,
    proxy::{Lateness, ProxyReport},
};

pub(crate) fn write(out: &mut impl Write, report: &ProxyReport) -> io::Result<()> {
    let seconds = report.duration_ns as f64 / 1e9;
    let proxy = &report.proxy;
    write!(
        out,
        "ran {seconds:.1} s: {} packets in, {} out, {} still on their way",
        proxy.received, proxy.sent, proxy.inside_at_stop
    )?;
    if proxy.flows > 0 {
        let s = if proxy.flows == 1 { "" } else { "s" };
        write!(out, ", {} client{s}", proxy.flows)?;
    }
    if proxy.rebound > 0 {
        write!(out, ", {} times another port", proxy.rebound)?;
    }
    if let Some(ns) = report.processor_ns {
        write!(out, "; {:.1} s of a processor", ns as f64 / 1e9)?;
    }
    writeln!(out)?;
    direction(out, "forward", &report.forward)?;
    direction(out, "reverse", &report.reverse)?;
    lateness(out, "lateness", &report.lateness)?;
    lateness(out, "late at the entrance", &report.entry_shift)?;
    if proxy.own_drops() > 0 {
        writeln!(out, "the proxy itself dropped {}", proxy.own_drops())?;
    }
    for warning in &report.warnings {
        writeln!(out, "note: {warning}")?;
    }
    let validity = if report.valid { "valid" } else { "not valid" };
    writeln!(out, "{validity}: {}", report.reason)
}

fn direction(out: &mut impl Write, name: &str, counters: &Counters) -> io::Result<()> {
    write!(
        out,
        "{name}: {} packets ({} bytes) in, {} delivered",
        counters.packets_in, counters.bytes_in, counters.delivered
    )?;
    for (count, what) in other_counts(counters) {
        if count > 0 {
            write!(out, ", {count} {what}")?;
        }
    }
    if counters.peak_queue_bytes > 0 {
        write!(out, "; at most {} bytes queued", counters.peak_queue_bytes)?;
    }
    writeln!(out)
}

/// Counts of everything else that can happen to packets, each with its description.
pub(crate) fn other_counts(counters: &Counters) -> Vec<(u64, &'static str)> {
    let known = [
        (counters.lost_wire, "lost"),
        (counters.lost_burst, "lost in bursts"),
        (counters.queue_drops, "dropped by the queue"),
        (counters.early_drops, "dropped early"),
        (counters.mtu_drops, "larger than the MTU"),
        (counters.blackout_drops, "lost in a blackout"),
        (counters.duplicated, "duplicated"),
        (counters.corrupted, "corrupted"),
        (counters.truncated, "cut short"),
        (counters.reordered, "out of order"),
        (counters.ce_marked, "marked"),
        (counters.cross_sent, "of cross traffic beside them"),
        (counters.cross_drops, "of cross traffic dropped"),
    ];
    let changed = counters.changed.iter().map(|(name, count)| (*count, *name));
    known.into_iter().chain(changed).collect()
}

fn lateness(out: &mut impl Write, name: &str, late: &Lateness) -> io::Result<()> {
    let micros = |ns: u64| ns as f64 / 1e3;
    writeln!(
        out,
        "{name}: half within {:.0} us, 99 % within {:.0} us, at most {:.0} us",
        micros(late.p50_ns),
        micros(late.p99_ns),
        micros(late.max_ns)
    )
}
