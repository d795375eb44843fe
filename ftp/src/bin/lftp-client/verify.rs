//! Receipts, and what they are good for: to see later whether a file is still the one.

use std::fs;
use std::path::Path;

use lftp_ftp::message::printable;
use lftp_ftp::store::hash_source;
use lftp_ftp::{Exit, Hash, Receipt};
use lftp_transport::Runtime;
use serde_json::{Value, json};

use crate::json;
use crate::session::{self, Failure, Output, Session};

/// The version of receipts.
const VERSION: u64 = 1;

/// Receipts are short; what is longer is none.
const MAX_RECEIPT_BYTES: u64 = 64 * 1024;

/// Writes the receipt of a file that was carried.
pub(crate) fn write_receipt(
    to: &Path,
    action: &str,
    name: &str,
    server: &str,
    receipt: &Receipt,
) -> Result<(), Failure> {
    let mut object = json::transfer(action, name, receipt);
    object["lftp_receipt"] = VERSION.into();
    object["server"] = server.into();
    let text = format!("{object:#}\n");
    // As a whole or not at all, like every file.
    let mut beside = to.as_os_str().to_owned();
    beside.push(".new");
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, to));
    written.map_err(|error| {
        let sentence = format!(
            "the file was carried, but its receipt cannot be written: {}: {error}",
            to.display()
        );
        Failure::new(Exit::LocalFile, sentence)
    })
}

/// What a file is known by.
#[derive(PartialEq, Eq)]
struct Known {
    bytes: u64,
    hash: Hash,
}

async fn here(runtime: &dyn Runtime, file: &Path) -> Result<Known, Failure> {
    let source = session::open(file)?;
    let hashed = hash_source(runtime, source).await;
    let (bytes, hash) = hashed.map_err(|error| Failure::local(&error))?;
    Ok(Known { bytes, hash })
}

/// Compares a file with its receipt.
pub(crate) async fn with_receipt(
    runtime: &dyn Runtime,
    output: Output,
    name: &str,
    file: &Path,
    receipt: &Path,
) -> Result<(), Failure> {
    let then = read_receipt(name, receipt)?;
    let with = format!("the receipt {}", receipt.display());
    compare(
        output,
        name,
        file,
        &here(runtime, file).await?,
        &then,
        &with,
    )
}

fn read_receipt(name: &str, receipt: &Path) -> Result<Known, Failure> {
    let shown = receipt.display();
    let unread = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::LocalFile, format!("the receipt {shown}: {error}"))
    };
    let metadata = fs::metadata(receipt).map_err(|error| unread(&error))?;
    if metadata.len() > MAX_RECEIPT_BYTES {
        return Err(unread(&"it is too long for one"));
    }
    let text = fs::read_to_string(receipt).map_err(|error| unread(&error))?;
    let object: Value = serde_json::from_str(&text).map_err(|error| unread(&error))?;
    let hash = object["blake3"]
        .as_str()
        .and_then(|hash| Hash::from_hex(hash).ok());
    let (Some(VERSION), Some(bytes), Some(hash)) = (
        object["lftp_receipt"].as_u64(),
        object["bytes"].as_u64(),
        hash,
    ) else {
        return Err(unread(&"it is no receipt of this version"));
    };
    match object["name"].as_str() {
        Some(then) if then == name => Ok(Known { bytes, hash }),
        then => {
            let then = printable(then.unwrap_or("nothing"), 60);
            Err(unread(&format!("it is that of {then}")))
        }
    }
}

fn compare(
    output: Output,
    name: &str,
    file: &Path,
    here: &Known,
    there: &Known,
    with: &str,
) -> Result<(), Failure> {
    let (name, shown) = (printable(name, 60), file.display());
    if here == there {
        if output.json {
            json::print(&json!({
                "status": true,
                "action": "verify",
                "name": name,
                "bytes": here.bytes,
                "blake3": here.hash.to_hex().as_str(),
            }));
        }
        if !output.quiet {
            eprintln!("verify {name}: {shown} is the same, blake3 {}", here.hash);
        }
        return Ok(());
    }
    let sentence = if here.bytes == there.bytes {
        format!("{shown} is not {name} of {with}: as long, but with another hash")
    } else {
        let (here, there) = (here.bytes, there.bytes);
        format!("{shown} is not {name} of {with}: it has {here} bytes, not {there}")
    };
    Err(Failure::new(Exit::Integrity, sentence))
}

impl Session {
    /// Compares a file with that of the server.
    pub(crate) async fn verify(&mut self, name: &str, file: &Path) -> Result<(), Failure> {
        let runtime = std::sync::Arc::clone(&self.runtime);
        let (here, there) = tokio::join!(here(&*runtime, file), self.client.hash(name));
        let here = here?;
        let (bytes, hash) = there.map_err(|error| {
            let what = printable(name, 60);
            Failure::new(
                (&error).into(),
                format!("verify {what} at {}: {error}", self.host),
            )
        })?;
        let with = self.host.to_string();
        compare(
            self.output,
            name,
            file,
            &here,
            &Known { bytes, hash },
            &with,
        )
    }
}
