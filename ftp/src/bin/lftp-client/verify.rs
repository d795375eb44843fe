//! `verify`: compares a local file with the server's file or with a receipt, by BLAKE3 hash.

use std::path::Path;

use lftp_ftp::Exit;
use lftp_ftp::protocol::shown;
use lftp_ftp::store::hash_source;
use lftp_transport::Runtime;
use serde_json::json;

use crate::failure::Failure;
use crate::json;
use crate::local_path;
use crate::receipt::{self, FileDigest};
use crate::session::{self, Output, Session};

async fn digest(runtime: &dyn Runtime, file: &Path) -> Result<FileDigest, Failure> {
    let source = local_path::open(file)?;
    let hashed = hash_source(runtime, source).await;
    let (bytes, hash) = hashed.map_err(|error| Failure::local(&error))?;
    Ok(FileDigest { bytes, hash })
}

/// Compares a local file with its receipt.
pub(crate) async fn with_receipt(
    runtime: &dyn Runtime,
    output: Output,
    name: &str,
    file: &Path,
    receipt: &Path,
) -> Result<(), Failure> {
    let expected = receipt::read(name, receipt)?;
    let reference = format!("in the receipt {}", receipt.display());
    let actual = digest(runtime, file).await?;
    compare(output, name, file, (&actual, &expected), &reference)
}

fn compare(
    output: Output,
    name: &str,
    file: &Path,
    (actual, expected): (&FileDigest, &FileDigest),
    reference: &str,
) -> Result<(), Failure> {
    let (full, file) = (name, local_path::shown_path(file));
    let name = shown(name, 60);
    if actual == expected {
        if output.json {
            json::print(&json!({
                "status": true,
                "action": "verify",
                "name": full,
                "bytes": actual.bytes,
                "blake3": actual.hash.to_hex().as_str(),
            }))?;
        }
        if !output.quiet {
            lftp_console::noteln!("verify {name}: {file} is the same, blake3 {}", actual.hash);
        }
        return Ok(());
    }
    let message = if actual.bytes == expected.bytes {
        format!("{file} differs from {name} {reference}: same length, another hash")
    } else {
        let (actual, expected) = (actual.bytes, expected.bytes);
        format!("{file} differs from {name} {reference}: it has {actual} bytes, not {expected}")
    };
    Err(Failure::new(Exit::Integrity, message))
}

impl Session {
    /// Compares a local file with the server's file `name`. Both sides hash at the same time.
    pub(crate) async fn verify(&mut self, name: &str, file: &Path) -> Result<(), Failure> {
        let runtime = std::sync::Arc::clone(&self.runtime);
        let (local, remote) = tokio::join!(digest(&*runtime, file), self.client.hash(name));
        let local = local?;
        let (bytes, hash) = remote
            .map_err(|error| self.request_failure(&session::title("verify", name), &error))?;
        let remote = FileDigest { bytes, hash };
        let reference = format!("at {}", self.host);
        compare(self.output(), name, file, (&local, &remote), &reference)
    }
}
