//! What the subcommands and the shell do, and how they say that it failed.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lftp_ftp::message::printable;
use lftp_ftp::{
    Client, ClientConfig, DirStore, EntryKind, Exit, Name, OpenError, Receipt, RequestError,
    Source, Store, StoreError, Target, TransferError,
};
use lftp_transport::{Runtime, unblock};

use crate::host::Host;
use crate::lines::{self, Shown};

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
            "stopped; nothing incomplete is left behind",
        )
    }

    fn local(error: &StoreError) -> Self {
        Self::new(error.into(), error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// The file to send, and its name on the server.
pub(crate) fn source(
    file: &Path,
    name: Option<String>,
) -> Result<(Box<dyn Source>, String), Failure> {
    let source = lftp_ftp::store::open_file(file).map_err(|error| Failure::local(&error))?;
    let own = || {
        file.file_name()
            .and_then(|name| name.to_str())
            .map(str::to_owned)
    };
    let name = name.or_else(own).ok_or_else(|| {
        let sentence = format!(
            "{} has no name that can be sent; use --name",
            file.display()
        );
        Failure::new(Exit::Usage, sentence)
    })?;
    Ok((source, name))
}

/// The folder and name that a received file gets.
pub(crate) struct Place {
    store: Arc<dyn Store>,
    name: Name,
}

/// Where a received file goes: `out` may be a file or a folder.
pub(crate) fn target(remote: &str, out: Option<PathBuf>) -> Result<Place, Failure> {
    let own = remote.rsplit('/').next().unwrap_or_default();
    let (folder, file) = match out {
        None => (PathBuf::from("."), own.to_owned()),
        Some(out) if out.is_dir() => (out, own.to_owned()),
        Some(out) => {
            let file = out
                .file_name()
                .and_then(|file| file.to_str())
                .map(str::to_owned);
            let file = file.ok_or_else(|| {
                Failure::new(
                    Exit::Usage,
                    format!("{} is not the name of a file", out.display()),
                )
            })?;
            let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
            (parent.unwrap_or_else(|| Path::new(".")).to_owned(), file)
        }
    };
    let name = Name::parse(&file).map_err(|error| {
        Failure::new(
            Exit::NameRefused,
            format!("{error}; give another name with --out"),
        )
    })?;
    let store = DirStore::open(&folder).map_err(|error| Failure::local(&error))?;
    Ok(Place {
        store: Arc::new(store),
        name,
    })
}

/// A connection to one server.
pub(crate) struct Session {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) host: Host,
    config: ClientConfig,
    quiet: bool,
    client: Client,
}

impl Session {
    pub(crate) async fn connect(
        runtime: Arc<dyn Runtime>,
        host: Host,
        config: ClientConfig,
        quiet: bool,
    ) -> Result<Self, Failure> {
        let client = connect(&runtime, &host, &config).await?;
        Ok(Self {
            runtime,
            host,
            config,
            quiet,
            client,
        })
    }

    /// Connects again where the connection was lost.
    pub(crate) async fn revive(&mut self) -> Result<(), Failure> {
        if !self.client.is_connected() {
            self.client = connect(&self.runtime, &self.host, &self.config).await?;
        }
        Ok(())
    }

    pub(crate) async fn put(
        &mut self,
        source: Box<dyn Source>,
        name: &str,
        overwrite: bool,
    ) -> Result<(), Failure> {
        let what = format!("put {}", printable(name, 60));
        let shown = Shown::new(&self.runtime, &what, self.quiet);
        let sent = self.client.put(source, name, overwrite, &shown).await;
        self.report(&what, &shown, sent)
    }

    pub(crate) async fn get(
        &mut self,
        remote: &str,
        place: &Place,
        overwrite: bool,
    ) -> Result<(), Failure> {
        let what = format!("get {}", printable(remote, 60));
        let shown = Shown::new(&self.runtime, &what, self.quiet);
        let target = Target {
            store: &place.store,
            name: &place.name,
            overwrite,
        };
        let received = self.client.get(remote, target, &shown).await;
        self.report(&what, &shown, received)
    }

    fn report(
        &self,
        what: &str,
        shown: &Shown,
        outcome: Result<Receipt, TransferError>,
    ) -> Result<(), Failure> {
        shown.clear();
        let receipt = outcome.map_err(|error| self.failure(what, &error))?;
        if !self.quiet {
            let took = Duration::from_nanos(receipt.duration_ns);
            eprintln!(
                "{what}: {} in {:.3} s, {}/s, blake3 {}",
                lines::size(receipt.bytes),
                took.as_secs_f64(),
                lines::size(lines::per_second(receipt.bytes, took)),
                receipt.hash,
            );
        }
        Ok(())
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
                let what = printable(path, 60);
                Failure::new(
                    (&error).into(),
                    format!("ls {what} at {}: {error}", self.host),
                )
            })?;
            let mut stdout = std::io::stdout().lock();
            for entry in &page.entries {
                let name = printable(&entry.name, 255);
                let written = match entry.kind {
                    EntryKind::File => writeln!(stdout, "{:>14}  {name}", entry.size),
                    EntryKind::Folder => writeln!(stdout, "{:>14}  {name}/", "-"),
                };
                // Whoever read it has seen enough.
                if written.is_err() {
                    return Ok(());
                }
            }
            after = page.entries.last().map(|entry| entry.name.clone());
            if !page.more {
                return Ok(());
            }
        }
    }

    pub(crate) async fn close(self) {
        self.client.close().await;
    }
}

/// Connects to the first of the host's addresses that answers.
async fn connect(
    runtime: &Arc<dyn Runtime>,
    host: &Host,
    config: &ClientConfig,
) -> Result<Client, Failure> {
    let wanted = host.clone();
    let resolved = unblock(&**runtime, move || wanted.resolve()).await;
    let addresses = resolved.map_err(|error| {
        Failure::new(
            Exit::NoConnection,
            format!("no address is known for {host}: {error}"),
        )
    })?;
    let mut last: Option<OpenError> = None;
    for addr in addresses {
        match Client::connect(Arc::clone(runtime), addr, config.clone()).await {
            Ok(client) => return Ok(client),
            Err(error) => last = Some(error),
        }
    }
    let reason = last.map_or_else(|| "no address".to_owned(), |error| error.to_string());
    let sentence =
        format!("{reason}; is lftp-server running on {host}, and is that UDP port open?");
    Err(Failure::new(Exit::NoConnection, sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_received_file_goes_where_it_was_asked_to() {
        let folder = tempfile::tempdir().unwrap();
        let place = |remote, out: Option<PathBuf>| target(remote, out).map(|place| place.name);
        assert_eq!(place("sub/a.bin", None).unwrap().as_str(), "a.bin");
        let into = Some(folder.path().to_owned());
        assert_eq!(place("sub/a.bin", into).unwrap().as_str(), "a.bin");
        let renamed = Some(folder.path().join("b.bin"));
        assert_eq!(place("sub/a.bin", renamed).unwrap().as_str(), "b.bin");
        let nowhere = Some(folder.path().join("none/b.bin"));
        assert_eq!(place("a", nowhere).unwrap_err().exit, Exit::LocalFile);
        assert_eq!(place("..", None).unwrap_err().exit, Exit::NameRefused);
    }
}
