//! Local paths of single files: the source of a `put` and the target of a `get`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lftp_ftp::protocol::{MAX_SHOWN_CHARS, shown};
use lftp_ftp::{DirStore, Exit, Name, Source, Store};

use crate::downloads::Downloads;
use crate::failure::Failure;
use crate::stdout::StdoutStore;

/// Default folder for received files, as in the original LFTP.
pub(crate) const DOWNLOADS: &str = "Download";

/// Returns true for `-`, which stands for standard input or output.
pub(crate) fn is_pipe(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens a local file for sending.
pub(crate) fn open(file: &Path) -> Result<Box<dyn Source>, Failure> {
    lftp_ftp::store::open_file(file).map_err(|error| Failure::local(&error))
}

/// Returns the name that a local file gets on the server: `name`, or its own file name.
///
/// # Errors
///
/// The file cannot be opened, or its own name is not valid Unicode.
pub(crate) fn remote_name(file: &Path, name: Option<String>) -> Result<String, Failure> {
    // Report a missing file before connecting to the server.
    open(file)?;
    let file_name = || {
        file.file_name()
            .and_then(|name| name.to_str())
            .map(str::to_owned)
    };
    name.or_else(file_name).ok_or_else(|| unnamed(file))
}

/// The failure of a path without a file name that can be sent.
pub(crate) fn unnamed(path: &Path) -> Failure {
    let message = format!(
        "{} has no name that can be sent to the server; choose one with --name",
        path.display()
    );
    Failure::new(Exit::Usage, message)
}

/// Splits a path into its folder and its file name.
pub(crate) fn split(path: &Path) -> Result<(PathBuf, String), Failure> {
    let Some(file) = path.file_name().and_then(|file| file.to_str()) else {
        let message = format!("{} is not a file name", path.display());
        return Err(Failure::new(Exit::Usage, message));
    };
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or_else(|| Path::new("."));
    Ok((folder.to_owned(), file.to_owned()))
}

/// Formats a path for messages: its last part may be the name of a file on the server, which
/// anyone there can choose.
pub(crate) fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy(), MAX_SHOWN_CHARS).to_string()
}

/// Folder and name under which a received file is stored, or standard output.
pub(crate) struct LocalTarget {
    /// `None` for standard output.
    folder: Option<PathBuf>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) name: Name,
}

impl LocalTarget {
    /// Resolves the target of a `get` of `remote`: `out` is a file, an existing folder, `-`, or
    /// absent for the default folder.
    pub(crate) fn new(remote: &str, out: Option<PathBuf>) -> Result<Self, Failure> {
        let remote_file = remote.rsplit('/').next().unwrap_or_default().to_owned();
        let is_default = out.is_none();
        let (folder, file) = match out {
            None => (Some(PathBuf::from(DOWNLOADS)), remote_file),
            Some(out) if is_pipe(&out) => (None, remote_file),
            Some(out) if out.is_dir() => (Some(out), remote_file),
            Some(out) => split(&out).map(|(folder, file)| (Some(folder), file))?,
        };
        let name = Name::parse(&file).map_err(|error| {
            Failure::new(
                Exit::NameRefused,
                format!("{error}; choose another name with --out"),
            )
        })?;
        let store: Arc<dyn Store> = match &folder {
            None => Arc::new(StdoutStore::default()),
            // Only the default folder is created: a missing folder in --out is a typing error
            // more often than a wish.
            Some(folder) if is_default => Arc::new(Downloads::new(folder)),
            Some(folder) => {
                Arc::new(DirStore::open(folder).map_err(|error| Failure::local(&error))?)
            }
        };
        Ok(Self {
            folder,
            store,
            name,
        })
    }

    /// Returns the path for messages.
    pub(crate) fn describe(&self) -> String {
        match &self.folder {
            Some(folder) => shown_path(&folder.join(self.name.as_str())),
            None => "standard output".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_received_file_goes_where_it_was_asked_to() {
        let folder = tempfile::tempdir().unwrap();
        let target =
            |remote, out: Option<PathBuf>| LocalTarget::new(remote, out).map(|target| target.name);
        let into = Some(folder.path().to_owned());
        assert_eq!(target("sub/a.bin", into).unwrap().as_str(), "a.bin");
        let renamed = Some(folder.path().join("b.bin"));
        assert_eq!(target("sub/a.bin", renamed).unwrap().as_str(), "b.bin");
        let nowhere = Some(folder.path().join("none/b.bin"));
        assert_eq!(target("a", nowhere).unwrap_err().exit(), Exit::LocalFile);
        assert_eq!(target("..", None).unwrap_err().exit(), Exit::NameRefused);
    }
}
