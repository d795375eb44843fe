//! Receipt files: name, size and hash of a file that was transferred, for a later `verify`.

use std::fs;
use std::path::Path;

use lftp_ftp::protocol::{escape_json, shown};
use lftp_ftp::{Exit, Hash, Receipt};
use serde_json::Value;

use crate::failure::Failure;
use crate::json;

/// Format version of receipts.
const VERSION: u64 = 1;

/// Longest receipt that is read, in bytes.
const MAX_RECEIPT_BYTES: u64 = 64 * 1024;

/// Length in bytes and hash of a file's contents.
#[derive(PartialEq, Eq)]
pub(crate) struct FileDigest {
    pub(crate) bytes: u64,
    pub(crate) hash: Hash,
}

/// Writes the receipt of a transferred file.
pub(crate) fn write(
    to: &Path,
    action: &str,
    name: &str,
    server: &str,
    receipt: &Receipt,
) -> Result<(), Failure> {
    let mut object = json::transfer(action, name, receipt);
    object["lftp_receipt"] = VERSION.into();
    object["server"] = server.into();
    let text = escape_json(&format!("{object:#}\n"));
    // Written beside and renamed, so that no reader sees half a receipt.
    let mut temporary = to.as_os_str().to_owned();
    temporary.push(".new");
    let written = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, to));
    written.map_err(|error| {
        let message = format!(
            "the file was transferred, but its receipt {} cannot be written: {error}",
            to.display()
        );
        Failure::new(Exit::LocalFile, message)
    })
}

/// Reads the receipt of the file `name`.
pub(crate) fn read(name: &str, receipt: &Path) -> Result<FileDigest, Failure> {
    let path = receipt.display();
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::LocalFile, format!("the receipt {path}: {error}"))
    };
    let metadata = fs::metadata(receipt).map_err(|error| failed(&error))?;
    if metadata.len() > MAX_RECEIPT_BYTES {
        return Err(failed(&"too long for a receipt"));
    }
    let text = fs::read_to_string(receipt).map_err(|error| failed(&error))?;
    let object: Value = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    let hash = object["blake3"]
        .as_str()
        .and_then(|hash| Hash::from_hex(hash).ok());
    let (Some(VERSION), Some(bytes), Some(hash)) = (
        object["lftp_receipt"].as_u64(),
        object["bytes"].as_u64(),
        hash,
    ) else {
        return Err(failed(
            &"not a receipt of a version that this program knows",
        ));
    };
    match object["name"].as_str() {
        Some(found) if found == name => Ok(FileDigest { bytes, hash }),
        found => {
            let found = shown(found.unwrap_or("an unnamed file"), 60);
            let name = shown(name, 60);
            Err(failed(&format!("it is that of {found}, not of {name}")))
        }
    }
}
