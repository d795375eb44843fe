//! Results for programs: one JSON object a line on stdout.

use std::io::Write;

use lftp_ftp::{Done, Entry, Receipt};
use serde_json::{Value, json};

use crate::session::Failure;

/// A file that was carried.
pub(crate) fn transfer(action: &str, name: &str, receipt: &Receipt) -> Value {
    let carried = receipt.bytes - receipt.resumed_bytes;
    let goodput = u128::from(carried) * 8_000_000_000 / u128::from(receipt.duration_ns.max(1));
    json!({
        "status": true,
        "action": action,
        "name": name,
        "bytes": receipt.bytes,
        "resumed_bytes": receipt.resumed_bytes,
        "blake3": receipt.hash.to_hex().as_str(),
        "duration_ns": receipt.duration_ns,
        "goodput_bps": u64::try_from(goodput).unwrap_or(u64::MAX),
        "packets_sent": receipt.stats.packets_sent,
        "packets_retransmitted": receipt.stats.packets_retransmitted,
        "packets_received": receipt.stats.packets_received,
    })
}

/// A tree that was carried.
pub(crate) fn tree(action: &str, name: &str, dry_run: bool, done: &Done) -> Value {
    let mut object = json!(done);
    object["status"] = (done.failed == 0).into();
    object["action"] = action.into();
    object["name"] = name.into();
    object["dry_run"] = dry_run.into();
    object
}

/// A line of a listing.
pub(crate) fn entry(entry: &Entry) -> String {
    json!(entry).to_string()
}

/// What went wrong.
pub(crate) fn failure(failure: &Failure) -> Value {
    json!({
        "status": false,
        "exit": failure.exit.number(),
        "error": failure.to_string(),
    })
}

/// Nobody reading it is no reason to fail: the file has arrived.
pub(crate) fn print(value: &Value) {
    let _ = writeln!(std::io::stdout().lock(), "{value}");
}
