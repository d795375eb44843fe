//! A connection to one server, and the requests of single files made on it.
//!
//! Whole folders are in [`tree`](crate::tree), comparisons in [`verify`](crate::verify).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lftp_ftp::protocol::{MAX_PART_BYTES, shown};
use lftp_ftp::{
    Client, ClientConfig, Entry, EntryKind, Receipt, RequestError, Target, TransferError,
};
use lftp_transport::Runtime;

use crate::failure::{Failure, RESUME_HINT};
use crate::host::Host;
use crate::json;
use crate::local_path::{self, LocalTarget};
use crate::progress::{self, ProgressDisplay};
use crate::retry::RetryPolicy;
use crate::shared::CLOSE_GRACE;
use crate::trust::Trust;

/// Longest part of a file name that a message repeats, in characters.
const SHOWN_NAME_CHARS: usize = 60;

/// Output besides errors.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Output {
    /// Neither progress nor a summary on stderr.
    pub(crate) quiet: bool,
    /// Results as JSON on stdout.
    pub(crate) json: bool,
}

/// Settings of a session.
pub(crate) struct SessionConfig {
    pub(crate) client: ClientConfig,
    pub(crate) trust: Trust,
    /// Time without newly verified bytes after which a broken transfer is not retried.
    pub(crate) give_up_after: Duration,
    pub(crate) output: Output,
}

/// A connection to one server, re-established when it is lost.
pub(crate) struct Session {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) host: Host,
    config: SessionConfig,
    pub(crate) client: Client,
}

impl Session {
    pub(crate) async fn connect(
        runtime: Arc<dyn Runtime>,
        host: Host,
        config: SessionConfig,
    ) -> Result<Self, Failure> {
        let connect = config.trust.connect(&runtime, &host, &config.client);
        let client = connect.await?;
        Ok(Self {
            runtime,
            host,
            config,
            client,
        })
    }

    pub(crate) const fn output(&self) -> Output {
        self.config.output
    }

    /// Connects again if the connection is lost.
    pub(crate) async fn ensure_connected(&mut self) -> Result<(), Failure> {
        if !self.client.is_connected() {
            self.client = self.reconnect().await?;
        }
        Ok(())
    }

    async fn reconnect(&self) -> Result<Client, Failure> {
        let config = &self.config;
        let connect = config
            .trust
            .connect(&self.runtime, &self.host, &config.client);
        connect.await
    }

    /// Creates the progress display of a transfer.
    pub(crate) fn progress(&self, title: &str) -> ProgressDisplay {
        ProgressDisplay::new(&self.runtime, title, self.config.output.quiet)
    }

    /// Creates the retry policy of a transfer.
    pub(crate) fn retry_policy<'a>(&self, progress: &'a ProgressDisplay) -> RetryPolicy<'a> {
        RetryPolicy::new(&self.runtime, progress, self.config.give_up_after)
    }

    pub(crate) async fn put(
        &mut self,
        file: &Path,
        name: &str,
        overwrite: bool,
    ) -> Result<Receipt, Failure> {
        let title = title("put", name);
        let progress = self.progress(&title);
        let mut retry = self.retry_policy(&progress);
        let sent = loop {
            // Opened for every attempt: the path may name another file by now.
            let source = local_path::open(file)?;
            match self.client.put(source, name, overwrite, &retry).await {
                Err(error) if self.should_retry(&title, &error, &mut retry).await => {}
                sent => break sent,
            }
        };
        let receipt = self.finish(&title, &progress, &retry, sent)?;
        self.summarise(&title, &receipt);
        self.print_receipt("put", name, &receipt)?;
        Ok(receipt)
    }

    /// Sends standard input, without retries, since it cannot be read twice.
    pub(crate) async fn put_piped(
        &mut self,
        name: &str,
        overwrite: bool,
    ) -> Result<Receipt, Failure> {
        let title = title("put", name);
        let progress = self.progress(&title);
        let stdin = Box::new(std::io::stdin());
        let sent = self
            .client
            .put_piped(stdin, name, overwrite, &progress)
            .await;
        progress.clear();
        let receipt = sent.map_err(|error| self.transfer_failure(&title, &error))?;
        self.summarise(&title, &receipt);
        self.print_receipt("put", name, &receipt)?;
        Ok(receipt)
    }

    pub(crate) async fn get(
        &mut self,
        remote: &str,
        local: &LocalTarget,
        overwrite: bool,
    ) -> Result<Receipt, Failure> {
        let title = title("get", remote);
        let progress = self.progress(&title);
        let mut retry = self.retry_policy(&progress);
        let received = loop {
            let target = Target {
                store: &local.store,
                name: &local.name,
                overwrite,
            };
            match self.client.get(remote, target, &retry).await {
                Err(error) if self.should_retry(&title, &error, &mut retry).await => {}
                received => break received,
            }
        };
        let receipt = self.finish(&title, &progress, &retry, received)?;
        self.summarise(&format!("{title} to {}", local.describe()), &receipt);
        self.print_receipt("get", remote, &receipt)?;
        Ok(receipt)
    }

    /// Waits for the next attempt and reconnects for it. Returns false when the error is
    /// permanent or the time for retries is over.
    pub(crate) async fn should_retry(
        &mut self,
        title: &str,
        error: &TransferError,
        retry: &mut RetryPolicy<'_>,
    ) -> bool {
        let is_worth_it =
            error.is_temporary() || (error.is_source_changed() && retry.reads_again());
        // Before the first grant a failure says more about the request than about the network.
        if !is_worth_it || !retry.was_granted() {
            return false;
        }
        while retry.backoff().await {
            tracing::warn!("{title}: {error}; retrying");
            // A control connection that seems intact may be as dead as the data connection,
            // only without having noticed: always make a new one.
            match self.reconnect().await {
                Ok(client) => {
                    self.client = client;
                    return true;
                }
                Err(failure) => tracing::warn!("{title}: {failure}"),
            }
        }
        false
    }

    /// Clears the progress display and describes the error of a transfer that failed.
    pub(crate) fn finish<T>(
        &self,
        title: &str,
        progress: &ProgressDisplay,
        retry: &RetryPolicy<'_>,
        result: Result<T, TransferError>,
    ) -> Result<T, Failure> {
        progress.clear();
        result.map_err(|error| {
            let failure = self.transfer_failure(title, &error);
            if error.is_temporary() && retry.has_verified_bytes() {
                failure.with_hint(RESUME_HINT)
            } else {
                failure
            }
        })
    }

    fn print_receipt(&self, action: &str, name: &str, receipt: &Receipt) -> Result<(), Failure> {
        if self.config.output.json {
            json::print(&json::transfer(action, name, receipt))?;
        }
        Ok(())
    }

    fn summarise(&self, title: &str, receipt: &Receipt) {
        if self.config.output.quiet {
            return;
        }
        let duration = Duration::from_nanos(receipt.duration_ns);
        let resumed = match receipt.resumed_bytes {
            0 => String::new(),
            bytes => format!(" ({} of it already present)", progress::size(bytes)),
        };
        let new_bytes = receipt.bytes.saturating_sub(receipt.resumed_bytes);
        lftp_console::noteln!(
            "{title}: {}{resumed} in {:.3} s, {}/s, blake3 {}",
            progress::size(receipt.bytes),
            duration.as_secs_f64(),
            progress::size(progress::per_second(new_bytes, duration)),
            receipt.hash,
        );
    }

    fn transfer_failure(&self, title: &str, error: &TransferError) -> Failure {
        let message = format!("{title} at {}: {error}", self.host);
        let failure = Failure::new(error.into(), message);
        match error {
            TransferError::Open(_) => {
                failure.with_hint("check that a firewall lets the server's UDP data ports through")
            }
            _ => failure,
        }
    }

    /// Describes a request on the control connection that failed.
    pub(crate) fn request_failure(&self, title: &str, error: &RequestError) -> Failure {
        let message = format!("{title} at {}: {error}", self.host);
        Failure::new(error.into(), message)
    }

    /// Prints a folder's entries on stdout.
    pub(crate) async fn ls(&mut self, path: &str) -> Result<(), Failure> {
        let mut after: Option<String> = None;
        loop {
            let listed = self.client.ls_page(path, after.as_deref()).await;
            let page = listed.map_err(|error| {
                let title = match path {
                    "" => "ls".to_owned(),
                    path => title("ls", path),
                };
                self.request_failure(&title, &error)
            })?;
            let mut lines = String::new();
            for entry in &page.entries {
                let line = if self.config.output.json {
                    json::entry(entry)
                } else {
                    line(entry)
                };
                lines.push_str(&line);
                lines.push('\n');
            }
            lftp_console::out!("{lines}")?;
            let last = page.entries.into_iter().last();
            after = last.map(|entry| entry.name.into_raw());
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Closes the connection, also after a failure: a server that receives no close keeps a
    /// client slot occupied until its idle timeout.
    pub(crate) async fn close(mut self) {
        let is_connected = self.client.is_connected();
        self.client.close().await;
        if !is_connected {
            lftp_transport::sleep(&*self.runtime, CLOSE_GRACE).await;
        }
    }
}

/// Command and file name, as the beginning of messages.
pub(crate) fn title(action: &str, name: &str) -> String {
    format!("{action} {}", shown(name, SHOWN_NAME_CHARS))
}

fn line(entry: &Entry) -> String {
    let name = entry.name.brief(MAX_PART_BYTES);
    match entry.kind {
        EntryKind::File => format!("{:>14}  {name}", entry.size),
        EntryKind::Folder => format!("{:>14}  {name}/", "-"),
    }
}
