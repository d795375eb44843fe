//! Whole folders: `put --recursive` and `get --recursive`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lftp_ftp::{DirStore, Exit, MemStore, Name, Plan, Store, Tree, TreeSummary};

use crate::downloads::Downloads;
use crate::failure::Failure;
use crate::json;
use crate::local_path::{self, DOWNLOADS};
use crate::progress;
use crate::session::{self, Session};

/// A local folder to send, or to receive into.
pub(crate) struct LocalTree {
    store: Arc<dyn Store>,
    root: Option<Name>,
    identity: String,
    path: PathBuf,
}

impl LocalTree {
    /// Opens a folder for sending. Returns it with its name on the server: `name`, or its own.
    pub(crate) fn to_send(folder: &Path, name: Option<String>) -> Result<(Self, String), Failure> {
        let store = DirStore::open(folder).map_err(|error| Failure::local(&error))?;
        // A path such as `.` or `a/..` has a name of its own only in its canonical form.
        let canonical = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let folder_name = canonical.file_name().and_then(|name| name.to_str());
        let name = name
            .or_else(|| folder_name.map(str::to_owned))
            .ok_or_else(|| local_path::unnamed(folder))?;
        let tree = Self {
            store: Arc::new(store),
            root: None,
            identity: identity(&canonical),
            path: folder.to_owned(),
        };
        Ok((tree, name))
    }

    /// Resolves the target of a `get` of the folder `remote`: in `out` if that is a folder, or
    /// under that name; by default in the folder for downloads.
    pub(crate) fn to_receive(
        remote: &str,
        out: Option<PathBuf>,
        dry_run: bool,
    ) -> Result<Self, Failure> {
        let remote_name = remote.trim_end_matches('/').rsplit('/').next();
        // The server's root has no name: its contents go straight into the target.
        let remote_name = remote_name.filter(|name| !matches!(*name, "" | "."));
        let (folder, root) = match out {
            None => (PathBuf::from(DOWNLOADS), remote_name.map(str::to_owned)),
            Some(out) if out.is_dir() => (out, remote_name.map(str::to_owned)),
            Some(out) => {
                let (folder, name) = local_path::split(&out)?;
                (folder, Some(name))
            }
        };
        let root = root.map(|root| Name::parse(&root)).transpose();
        let root = root.map_err(|error| {
            let message = format!("{error}; choose another name with --out");
            Failure::new(Exit::NameRefused, message)
        })?;
        let path = root
            .as_ref()
            .map_or_else(|| folder.clone(), |root| folder.join(root.as_str()));
        Ok(Self {
            store: target_store(&folder, dry_run)?,
            identity: identity(&path),
            root,
            path,
        })
    }

    fn as_tree(&self) -> Tree<'_> {
        Tree {
            store: &self.store,
            root: self.root.as_ref(),
            source: &self.identity,
        }
    }
}

fn target_store(folder: &Path, dry_run: bool) -> Result<Arc<dyn Store>, Failure> {
    if dry_run && !folder.exists() {
        // A dry run creates nothing, and a missing folder compares like an empty one.
        return Ok(Arc::new(MemStore::new()));
    }
    let store = if folder == Path::new(DOWNLOADS) {
        Downloads::new(folder).created()
    } else {
        DirStore::open(folder)
    };
    Ok(Arc::new(store.map_err(|error| Failure::local(&error))?))
}

/// Returns a digest that identifies a folder of this machine without revealing its path. A
/// broken transfer is resumed only from the same folder.
fn identity(folder: &Path) -> String {
    let mut identity = folder.to_string_lossy().into_owned();
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(folder) {
        use std::os::unix::fs::MetadataExt;
        // Another folder that was moved to the same path is another folder.
        identity.push_str(&format!("\0{} {}", metadata.dev(), metadata.ino()));
    }
    let hash = blake3::derive_key("lftp tree identity 1", identity.as_bytes());
    lftp_ftp::Hash::from_bytes(hash).to_hex()[..32].to_owned()
}

impl Session {
    pub(crate) async fn put_tree(
        &mut self,
        local: &LocalTree,
        name: &str,
        plan: &Plan,
    ) -> Result<(), Failure> {
        let title = session::title("put", name);
        let progress = self.progress(&title);
        let mut retry = self.retry_policy(&progress);
        let sent = loop {
            let attempt = self.client.put_tree(local.as_tree(), name, plan, &retry);
            match attempt.await {
                Err(error) if self.should_retry(&title, &error, &mut retry).await => {}
                sent => break sent,
            }
        };
        let done = self.finish(&title, &progress, &retry, sent)?;
        self.report("put", name, &title, plan, &done)
    }

    pub(crate) async fn get_tree(
        &mut self,
        name: &str,
        local: &LocalTree,
        plan: &Plan,
    ) -> Result<(), Failure> {
        let title = session::title("get", name);
        let progress = self.progress(&title);
        let mut retry = self.retry_policy(&progress);
        let received = loop {
            let attempt = self.client.get_tree(name, local.as_tree(), plan, &retry);
            match attempt.await {
                Err(error) if self.should_retry(&title, &error, &mut retry).await => {}
                received => break received,
            }
        };
        let done = self.finish(&title, &progress, &retry, received)?;
        let title = format!("{title} to {}", local_path::shown_path(&local.path));
        self.report("get", name, &title, plan, &done)
    }

    /// Prints the result of a folder's transfer, and fails if one of its files did.
    fn report(
        &self,
        action: &str,
        name: &str,
        title: &str,
        plan: &Plan,
        done: &TreeSummary,
    ) -> Result<(), Failure> {
        if self.output().json {
            json::print(&json::tree(action, name, plan.dry_run, done))?;
        }
        if !self.output().quiet {
            let would_be = if plan.dry_run { "would be " } else { "" };
            lftp_console::noteln!(
                "{title}: {} files {would_be}transferred ({}), {} unchanged, {} skipped, {} failed",
                done.files,
                progress::size(done.bytes),
                done.unchanged,
                done.skipped,
                done.failed
            );
        }
        for skipped in done.skips.iter().filter(|_| !self.output().quiet) {
            lftp_console::noteln!("{}: skipped: {}", skipped.path, skipped.reason);
        }
        for failed in &done.failures {
            lftp_console::noteln!("{}: {}", failed.path, failed.reason);
        }
        if done.failed == 0 {
            return Ok(());
        }
        let message = format!("{title}: {} files were not transferred", done.failed);
        Err(Failure::new(Exit::Partial, message))
    }
}
