//! `put -r` and `get -r`: trees of files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use lftp_ftp::message::printable;
use lftp_ftp::{DirStore, Done, Exit, Filter, Links, MemStore, Name, Overwrite, Plan, Store, Tree};

use crate::json;
use crate::lines::{self, Shown};
use crate::patience::Tries;
use crate::session::{self, DOWNLOADS, Failure, Session};

#[derive(Args, Clone, Debug)]
pub(crate) struct TreeArgs {
    /// Carry a folder with everything below it; what is there already, the same by size and
    /// time, is not sent again
    #[arg(long, short, help_heading = "Folders")]
    pub(crate) recursive: bool,
    /// Only files that match: *.txt anywhere, or docs/*.txt, or docs/**; may be repeated
    #[arg(
        long,
        value_name = "PATTERN",
        requires = "recursive",
        help_heading = "Folders"
    )]
    include: Vec<String>,
    /// No files or folders that match; may be repeated, and wins over --include
    #[arg(
        long,
        value_name = "PATTERN",
        requires = "recursive",
        help_heading = "Folders"
    )]
    exclude: Vec<String>,
    /// Symbolic links: leave them out, or carry the files they lead to
    #[arg(
        long,
        value_enum,
        default_value = "skip",
        requires = "recursive",
        help_heading = "Folders"
    )]
    links: LinksArg,
    /// Files that are there and differ
    #[arg(
        long,
        value_enum,
        default_value = "replace",
        requires = "recursive",
        help_heading = "Folders"
    )]
    overwrite: OverwriteArg,
    /// Only say what would be carried
    #[arg(long, requires = "recursive", help_heading = "Folders")]
    dry_run: bool,
}

#[derive(Copy, Clone, Debug, ValueEnum)]
enum LinksArg {
    Skip,
    Follow,
}

#[derive(Copy, Clone, Debug, ValueEnum)]
enum OverwriteArg {
    /// Leave them, and fail
    Refuse,
    /// Leave them
    Skip,
    /// Replace those that are older
    Newer,
    /// Replace them
    Replace,
}

impl TreeArgs {
    pub(crate) fn plan(&self, no_clobber: bool) -> Result<Plan, Failure> {
        let filter = Filter::new(&self.include, &self.exclude);
        let filter = filter.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        Ok(Plan {
            filter,
            links: match self.links {
                LinksArg::Skip => Links::Skip,
                LinksArg::Follow => Links::Follow,
            },
            overwrite: match self.overwrite {
                _ if no_clobber => Overwrite::Refuse,
                OverwriteArg::Refuse => Overwrite::Refuse,
                OverwriteArg::Skip => Overwrite::Skip,
                OverwriteArg::Newer => Overwrite::Newer,
                OverwriteArg::Replace => Overwrite::Replace,
            },
            dry_run: self.dry_run,
        })
    }
}

/// A folder of this side, and what it is called on the other.
pub(crate) struct Here {
    store: Arc<dyn Store>,
    root: Option<Name>,
    source: String,
    shown: PathBuf,
}

/// The folder to send, and its name on the server.
pub(crate) fn from(folder: &Path, name: Option<String>) -> Result<(Here, String), Failure> {
    let store = DirStore::open(folder).map_err(|error| Failure::local(&error))?;
    let whole = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let own = whole.file_name().and_then(|name| name.to_str());
    let name = name.or_else(|| own.map(str::to_owned)).ok_or_else(|| {
        let sentence = format!(
            "{} has no name that can be sent; use --name",
            folder.display()
        );
        Failure::new(Exit::Usage, sentence)
    })?;
    let here = Here {
        store: Arc::new(store),
        root: None,
        source: identity(&whole),
        shown: folder.to_owned(),
    };
    Ok((here, name))
}

/// Tells one folder of one machine from others, and says neither its name nor its place.
fn identity(folder: &Path) -> String {
    let mut identity = folder.to_string_lossy().into_owned();
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(folder) {
        use std::os::unix::fs::MetadataExt;
        identity.push_str(&format!("\0{} {}", metadata.dev(), metadata.ino()));
    }
    let hash = blake3::derive_key("lftp tree identity 1", identity.as_bytes());
    lftp_ftp::Hash::from_bytes(hash).to_hex()[..32].to_owned()
}

/// Where a received folder goes: into `out` if that is a folder, or to that name; without it
/// into the folder for downloads.
pub(crate) fn to(remote: &str, out: Option<PathBuf>, dry_run: bool) -> Result<Here, Failure> {
    let own = remote.trim_end_matches('/').rsplit('/').next();
    let own = own.filter(|own| !matches!(*own, "" | "."));
    let (folder, root) = match out {
        None => (PathBuf::from(DOWNLOADS), own.map(str::to_owned)),
        Some(out) if out.is_dir() => (out, own.map(str::to_owned)),
        Some(out) => {
            let (folder, name) = session::split(&out)?;
            (folder, Some(name))
        }
    };
    let root = root.map(|root| Name::parse(&root)).transpose();
    let root = root.map_err(|error| {
        let sentence = format!("{error}; give another name with --out");
        Failure::new(Exit::NameRefused, sentence)
    })?;
    let store: Arc<dyn Store> = if dry_run && !folder.exists() {
        // What is not there is as good as empty.
        Arc::new(MemStore::new())
    } else {
        if folder == Path::new(DOWNLOADS) {
            // Whatever is in its way is said by the next step.
            let _ = fs::create_dir(&folder);
        }
        Arc::new(DirStore::open(&folder).map_err(|error| Failure::local(&error))?)
    };
    let shown = root
        .as_ref()
        .map_or_else(|| folder.clone(), |root| folder.join(root.as_str()));
    Ok(Here {
        store,
        source: identity(&shown),
        root,
        shown,
    })
}

impl Here {
    fn tree(&self) -> Tree<'_> {
        Tree {
            store: &self.store,
            root: self.root.as_ref(),
            source: &self.source,
        }
    }
}

impl Session {
    pub(crate) async fn put_tree(
        &mut self,
        here: &Here,
        name: &str,
        plan: &Plan,
    ) -> Result<(), Failure> {
        let what = format!("put {}", printable(name, 60));
        let shown = Shown::new(&self.runtime, &what, self.output.quiet);
        let mut tries = Tries::new(&self.runtime, &shown, self.give_up_after);
        let sent = loop {
            match self.client.put_tree(here.tree(), name, plan, &tries).await {
                Err(error) if self.again(&what, &error, &mut tries).await? => {}
                sent => break sent,
            }
        };
        let done = self.outcome(&what, &shown, &tries, sent)?;
        self.report("put", name, &what, plan, &done)
    }

    pub(crate) async fn get_tree(
        &mut self,
        name: &str,
        here: &Here,
        plan: &Plan,
    ) -> Result<(), Failure> {
        let what = format!("get {}", printable(name, 60));
        let shown = Shown::new(&self.runtime, &what, self.output.quiet);
        let mut tries = Tries::new(&self.runtime, &shown, self.give_up_after);
        let received = loop {
            match self.client.get_tree(name, here.tree(), plan, &tries).await {
                Err(error) if self.again(&what, &error, &mut tries).await? => {}
                received => break received,
            }
        };
        let done = self.outcome(&what, &shown, &tries, received)?;
        let to = format!("{what} to {}", here.shown.display());
        self.report("get", name, &to, plan, &done)
    }

    /// Says what became of a tree.
    fn report(
        &self,
        action: &str,
        name: &str,
        what: &str,
        plan: &Plan,
        done: &Done,
    ) -> Result<(), Failure> {
        if self.output.json {
            json::print(&json::tree(action, name, plan.dry_run, done));
        }
        if !self.output.quiet {
            let would = if plan.dry_run { "would be " } else { "" };
            eprintln!(
                "{what}: {} files {would}carried ({}), {} unchanged, {} skipped, {} failed",
                done.files,
                lines::size(done.bytes),
                done.unchanged,
                done.skipped,
                done.failed
            );
        }
        for failed in &done.failures {
            let path = printable(&failed.path, 200);
            eprintln!("{path}: {}", printable(&failed.reason, 200));
        }
        if done.failed == 0 {
            return Ok(());
        }
        let sentence = format!("{what}: {} files did not arrive", done.failed);
        Err(Failure::new(Exit::Partial, sentence))
    }
}
