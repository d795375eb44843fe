//! What the subcommands and the shell do, and how they say that it failed.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lftp_ftp::message::printable;
use lftp_ftp::{
    Client, ClientConfig, DirStore, Entry, EntryKind, Exit, Name, Receipt, RequestError, Source,
    Store, StoreError, Target, TransferError,
};
use lftp_transport::Runtime;

use crate::downloads::Downloads;
use crate::host::Host;
use crate::job::is_pipe;
use crate::json;
use crate::lines::{self, Shown};
use crate::patience::Tries;
use crate::stdout::Stdout;
use crate::trust::Trust;

/// What is left to do for the connections of a transfer that was interrupted.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(150);

/// What went wrong, with what, and the number for it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    sentence: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Self {
            exit,
            sentence: sentence.into(),
        }
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(
            Exit::Interrupted,
            "stopped; the same command goes on with what has arrived",
        )
    }

    pub(crate) fn local(error: &StoreError) -> Self {
        Self::new(error.into(), error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// Opens the file to send.
pub(crate) fn open(file: &Path) -> Result<Box<dyn Source>, Failure> {
    lftp_ftp::store::open_file(file).map_err(|error| Failure::local(&error))
}

/// The name on the server of the file to send, which is there.
pub(crate) fn name(file: &Path, name: Option<String>) -> Result<String, Failure> {
    open(file)?;
    let own = || {
        file.file_name()
            .and_then(|name| name.to_str())
            .map(str::to_owned)
    };
    name.or_else(own).ok_or_else(|| {
        let sentence = format!(
            "{} has no name that can be sent; use --name",
            file.display()
        );
        Failure::new(Exit::Usage, sentence)
    })
}

/// Where received files go unless something else is asked for. The seed's folder.
pub(crate) const DOWNLOADS: &str = "Download";

/// The folder and name that a received file gets.
pub(crate) struct Place {
    /// `None`: standard output.
    folder: Option<PathBuf>,
    store: Arc<dyn Store>,
    name: Name,
}

impl Place {
    fn shown(&self) -> String {
        match &self.folder {
            Some(folder) => folder.join(self.name.as_str()).display().to_string(),
            None => "standard output".to_owned(),
        }
    }
}

/// Where a received file goes: `out` may be a file, a folder, or `-`. Without it, it goes to
/// the folder for downloads.
pub(crate) fn target(remote: &str, out: Option<PathBuf>) -> Result<Place, Failure> {
    let own = remote.rsplit('/').next().unwrap_or_default().to_owned();
    let chosen = out.is_some();
    let (folder, file) = match out {
        None => (Some(PathBuf::from(DOWNLOADS)), own),
        Some(out) if is_pipe(&out) => (None, own),
        Some(out) if out.is_dir() => (Some(out), own),
        Some(out) => split(&out).map(|(folder, file)| (Some(folder), file))?,
    };
    let name = Name::parse(&file).map_err(|error| {
        Failure::new(
            Exit::NameRefused,
            format!("{error}; give another name with --out"),
        )
    })?;
    let store: Arc<dyn Store> = match &folder {
        None => Arc::new(Stdout::default()),
        Some(folder) if chosen => {
            Arc::new(DirStore::open(folder).map_err(|error| Failure::local(&error))?)
        }
        Some(folder) => Arc::new(Downloads::new(folder)),
    };
    Ok(Place {
        folder,
        store,
        name,
    })
}

/// The folder and the name in a path.
pub(crate) fn split(path: &Path) -> Result<(PathBuf, String), Failure> {
    let Some(file) = path.file_name().and_then(|file| file.to_str()) else {
        let sentence = format!("{} is not the name of a file", path.display());
        return Err(Failure::new(Exit::Usage, sentence));
    };
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or_else(|| Path::new("."));
    Ok((folder.to_owned(), file.to_owned()))
}

/// A connection to one server.
pub(crate) struct Session {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) host: Host,
    config: ClientConfig,
    trust: Trust,
    pub(crate) give_up_after: Duration,
    pub(crate) output: Output,
    pub(crate) client: Client,
}

/// What is shown besides errors.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Output {
    /// No progress and no summary on stderr.
    pub(crate) quiet: bool,
    /// Results as JSON on stdout.
    pub(crate) json: bool,
}

impl Session {
    pub(crate) async fn connect(
        runtime: Arc<dyn Runtime>,
        host: Host,
        (config, trust): (ClientConfig, Trust),
        give_up_after: Duration,
        output: Output,
    ) -> Result<Self, Failure> {
        let client = trust.connect(&runtime, &host, &config).await?;
        Ok(Self {
            runtime,
            host,
            config,
            trust,
            give_up_after,
            output,
            client,
        })
    }

    /// Connects again where the connection was lost.
    pub(crate) async fn revive(&mut self) -> Result<(), Failure> {
        if !self.client.is_connected() {
            self.client = self.connect_again().await?;
        }
        Ok(())
    }

    async fn connect_again(&self) -> Result<Client, Failure> {
        let connect = self.trust.connect(&self.runtime, &self.host, &self.config);
        connect.await
    }

    pub(crate) async fn put(
        &mut self,
        file: &Path,
        name: &str,
        overwrite: bool,
    ) -> Result<Receipt, Failure> {
        let what = format!("put {}", printable(name, 60));
        let shown = Shown::new(&self.runtime, &what, self.output.quiet);
        let mut tries = Tries::new(&self.runtime, &shown, self.give_up_after);
        let sent = loop {
            // Opened again for every try: it may be another file by now.
            let source = open(file)?;
            match self.client.put(source, name, overwrite, &tries).await {
                Err(error) if self.again(&what, &error, &mut tries).await? => {}
                sent => break sent,
            }
        };
        let receipt = self.outcome(&what, &shown, &tries, sent)?;
        if self.output.json {
            json::print(&json::transfer("put", name, &receipt));
        }
        self.summarise(&what, &receipt);
        Ok(receipt)
    }

    /// Sends what comes from standard input: once, since it cannot be read again.
    pub(crate) async fn put_piped(
        &mut self,
        name: &str,
        overwrite: bool,
    ) -> Result<Receipt, Failure> {
        let what = format!("put {}", printable(name, 60));
        let shown = Shown::new(&self.runtime, &what, self.output.quiet);
        let stdin = Box::new(std::io::stdin());
        let sent = self.client.put_piped(stdin, name, overwrite, &shown).await;
        shown.clear();
        let receipt = sent.map_err(|error| self.failure(&what, &error))?;
        if self.output.json {
            json::print(&json::transfer("put", name, &receipt));
        }
        self.summarise(&what, &receipt);
        Ok(receipt)
    }

    pub(crate) async fn get(
        &mut self,
        remote: &str,
        place: &Place,
        overwrite: bool,
    ) -> Result<Receipt, Failure> {
        let what = format!("get {}", printable(remote, 60));
        let shown = Shown::new(&self.runtime, &what, self.output.quiet);
        let mut tries = Tries::new(&self.runtime, &shown, self.give_up_after);
        let received = loop {
            let target = Target {
                store: &place.store,
                name: &place.name,
                overwrite,
            };
            match self.client.get(remote, target, &tries).await {
                Err(error) if self.again(&what, &error, &mut tries).await? => {}
                received => break received,
            }
        };
        let receipt = self.outcome(&what, &shown, &tries, received)?;
        if self.output.json {
            json::print(&json::transfer("get", remote, &receipt));
        }
        self.summarise(&format!("{what} to {}", place.shown()), &receipt);
        Ok(receipt)
    }

    /// Whether to try once more; connects again for that.
    pub(crate) async fn again(
        &mut self,
        what: &str,
        error: &TransferError,
        tries: &mut Tries<'_>,
    ) -> Result<bool, Failure> {
        if !error.is_temporary() || !tries.is_begun() {
            return Ok(false);
        }
        while tries.wait().await {
            tracing::warn!("{what}: {error}; trying again");
            // A control connection that has not noticed anything yet is of no use either.
            match self.connect_again().await {
                Ok(client) => {
                    self.client = client;
                    return Ok(true);
                }
                Err(failure) => tracing::warn!("{what}: {failure}"),
            }
        }
        Ok(false)
    }

    /// What a transfer came to, in words where it failed.
    pub(crate) fn outcome<T>(
        &self,
        what: &str,
        shown: &Shown,
        tries: &Tries<'_>,
        outcome: Result<T, TransferError>,
    ) -> Result<T, Failure> {
        shown.clear();
        outcome.map_err(|error| {
            let mut failure = self.failure(what, &error);
            if error.is_temporary() && tries.has_arrived() {
                failure
                    .sentence
                    .push_str("; the same command goes on with what has arrived");
            }
            failure
        })
    }

    fn summarise(&self, what: &str, receipt: &Receipt) {
        if !self.output.quiet {
            let took = Duration::from_nanos(receipt.duration_ns);
            let earlier = match receipt.resumed_bytes {
                0 => String::new(),
                bytes => format!(" ({} were there already)", lines::size(bytes)),
            };
            eprintln!(
                "{what}: {}{earlier} in {:.3} s, {}/s, blake3 {}",
                lines::size(receipt.bytes),
                took.as_secs_f64(),
                lines::size(lines::per_second(
                    receipt.bytes - receipt.resumed_bytes,
                    took
                )),
                receipt.hash,
            );
        }
    }

    fn failure(&self, what: &str, error: &TransferError) -> Failure {
        let hint = match error {
            TransferError::Open(_) => "; are the server's data ports open on the way there?",
            _ => "",
        };
        Failure::new(
            error.into(),
            format!("{what} at {}: {error}{hint}", self.host),
        )
    }

    /// Prints a folder on stdout.
    pub(crate) async fn ls(&mut self, path: &str) -> Result<(), Failure> {
        let mut after: Option<String> = None;
        loop {
            let listed = self.client.ls_page(path, after.as_deref()).await;
            let page = listed.map_err(|error: RequestError| {
                let what = match path {
                    "" => "ls".to_owned(),
                    path => format!("ls {}", printable(path, 60)),
                };
                Failure::new((&error).into(), format!("{what} at {}: {error}", self.host))
            })?;
            let mut stdout = std::io::stdout().lock();
            for entry in &page.entries {
                let line = if self.output.json {
                    json::entry(entry)
                } else {
                    line(entry)
                };
                // Whoever read it has seen enough.
                if writeln!(stdout, "{line}").is_err() {
                    return Ok(());
                }
            }
            after = page.entries.last().map(|entry| entry.name.clone());
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Leaves in good order, also after a failure: a server that is not told keeps the place
    /// of a client that is long gone.
    pub(crate) async fn close(mut self) {
        let is_connected = self.client.is_connected();
        self.client.close().await;
        if !is_connected {
            lftp_transport::sleep(&*self.runtime, LAST_WORDS).await;
        }
    }
}

fn line(entry: &Entry) -> String {
    let name = printable(&entry.name, 255);
    match entry.kind {
        EntryKind::File => format!("{:>14}  {name}", entry.size),
        EntryKind::Folder => format!("{:>14}  {name}/", "-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_received_file_goes_where_it_was_asked_to() {
        let folder = tempfile::tempdir().unwrap();
        let place = |remote, out: Option<PathBuf>| target(remote, out).map(|place| place.name);
        let into = Some(folder.path().to_owned());
        assert_eq!(place("sub/a.bin", into).unwrap().as_str(), "a.bin");
        let renamed = Some(folder.path().join("b.bin"));
        assert_eq!(place("sub/a.bin", renamed).unwrap().as_str(), "b.bin");
        let nowhere = Some(folder.path().join("none/b.bin"));
        assert_eq!(place("a", nowhere).unwrap_err().exit, Exit::LocalFile);
        assert_eq!(place("..", None).unwrap_err().exit, Exit::NameRefused);
    }
}
