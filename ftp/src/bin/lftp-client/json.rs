//! Results for scripts: one JSON object per line on stdout. What a peer has written is escaped as
//! `\uXXXX`, so that a terminal shows it unchanged and a parser reads it unchanged.

use lftp_console::OutputError;
use lftp_ftp::protocol::escape_json;
use lftp_ftp::{Entry, Receipt, TreeSummary};
use serde_json::{Value, json};

use crate::failure::Failure;

/// Describes a file that was transferred.
pub(crate) fn transfer(action: &str, name: &str, receipt: &Receipt) -> Value {
    let new_bytes = receipt.bytes.saturating_sub(receipt.resumed_bytes);
    let goodput = u128::from(new_bytes) * 8_000_000_000 / u128::from(receipt.duration_ns.max(1));
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

/// Describes a folder that was transferred.
pub(crate) fn tree(action: &str, name: &str, dry_run: bool, done: &TreeSummary) -> Value {
    let mut object = json!(done);
    object["status"] = (done.failed == 0).into();
    object["action"] = action.into();
    object["name"] = name.into();
    object["dry_run"] = dry_run.into();
    object
}

/// Formats an entry of a listing.
pub(crate) fn entry(entry: &Entry) -> String {
    escape_json(&json!(entry).to_string())
}

/// Describes a failure.
pub(crate) fn failure(failure: &Failure) -> Value {
    json!({
        "status": false,
        "exit": failure.exit().number(),
        "error": failure.to_string(),
    })
}

/// Prints an object on stdout.
pub(crate) fn print(value: &Value) -> Result<(), OutputError> {
    lftp_console::outln!("{}", escape_json(&value.to_string()))
}
