//! Admission of clients by the authorized keys file in its current state.
//!
//! The file is checked whenever a client connects, and read again when it has changed;
//! the server asks about connected clients again as well, and ends those whose key was removed or
//! has fewer rights. A line that cannot be parsed is logged and skipped, and the others hold. If the
//! file cannot be read, that is logged and the previous rules stay in force; if it has been
//! deleted, no key is authorized.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use lftp_ftp::{Admission, Admit, DirStore, Rights, StorageRoot, StoreError};
use lftp_transport::PublicKey;

use crate::authorized_keys::{Root, Rule, parse};

/// Longest file that is read, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Admits clients by the file and by the rights of anonymous clients.
#[derive(Debug)]
pub(crate) struct Authorization {
    file: PathBuf,
    anonymous: Option<Rights>,
    shared: Arc<DirStore>,
    /// Options of the roots outside the shared folder: the same as its own.
    options: StoreOptions,
    state: Mutex<State>,
}

/// Options of a store in a folder.
#[derive(Copy, Clone, Debug)]
pub(crate) struct StoreOptions {
    pub(crate) durable: bool,
    pub(crate) keep_partials: Duration,
}

#[derive(Debug, Default)]
struct State {
    stamp: Option<Stamp>,
    rules: Rules,
    /// One per folder, so that all keys with this root share its quota accounting.
    roots: BTreeMap<PathBuf, (StorageRoot, Arc<DirStore>)>,
}

/// Metadata by which a change of the file is noticed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    inode: u64,
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self {
            modified: metadata.modified().ok(),
            len: metadata.len(),
            inode,
        }
    }
}

type Rules = BTreeMap<PublicKey, Rule>;

impl Authorization {
    /// Reads the file for the first time. A missing file is an error only if `must_exist`.
    ///
    /// # Errors
    ///
    /// A message with the file and the line.
    pub(crate) fn open(
        file: PathBuf,
        must_exist: bool,
        anonymous: Option<Rights>,
        shared: Arc<DirStore>,
        options: StoreOptions,
    ) -> Result<Self, String> {
        let read = match read(&file) {
            Ok(None) if must_exist => Err("no such file".to_owned()),
            read => read,
        };
        let message = |error| format!("authorized keys file {}: {error}", file.display());
        let (stamp, rules) = read.map_err(message)?.unzip();
        let rules = rules.unwrap_or_default();
        match (rules.len(), anonymous) {
            (0, None) => {
                let advice = "no client is admitted: add the line \"read,write KEY\" to the authorized \
                              keys, with the KEY that \"lftp-client key\" prints, or use \
                              --anonymous rw";
                tracing::warn!(file = %file.display(), "{advice}");
            }
            (keys, _) => tracing::info!(file = %file.display(), keys, "authorized keys"),
        }
        if let Some(rights) = anonymous {
            tracing::warn!(%rights, "clients without an authorized key are admitted");
        }
        let state = State {
            stamp,
            rules,
            roots: BTreeMap::new(),
        };
        Ok(Self {
            file,
            anonymous,
            shared,
            options,
            state: Mutex::new(state),
        })
    }

    /// Returns the rules in force, after reading the file again if it has changed.
    fn current(&self) -> MutexGuard<'_, State> {
        let stamp = fs::metadata(&self.file).ok();
        let stamp = stamp.as_ref().map(Stamp::of);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp == state.stamp {
            return state;
        }
        let file = self.file.display();
        match read(&self.file) {
            Ok(read) => {
                let (stamp, rules) = read.unzip();
                state.stamp = stamp;
                state.rules = rules.unwrap_or_default();
                tracing::info!(%file, keys = state.rules.len(), "read the authorized keys again");
            }
            Err(error) => {
                // The stamp is taken all the same, so that the error is logged once per change.
                state.stamp = stamp;
                tracing::error!(%file, %error, "the file cannot be read; the previous rules stay in force");
            }
        }
        state
    }

    fn root(&self, state: &mut State, root: &Root) -> Result<Option<StorageRoot>, StoreError> {
        let path = match root {
            Root::Shared => return Ok(None),
            Root::Inside(name) => PathBuf::from(name.as_str()),
            Root::External(path) => path.clone(),
        };
        // Opened once: a second store for the folder would count its quota separately.
        if let Some((root, _)) = state.roots.get(&path) {
            return Ok(Some(root.clone()));
        }
        let store = Arc::new(match root {
            Root::Inside(name) => self.shared.below(name)?,
            _ => self.open_external(&path)?,
        });
        let opened = StorageRoot::new(&path.to_string_lossy(), Arc::clone(&store) as _);
        state.roots.insert(path, (opened.clone(), store));
        Ok(Some(opened))
    }

    fn open_external(&self, path: &Path) -> Result<DirStore, StoreError> {
        if let Err(error) = fs::create_dir_all(path) {
            tracing::warn!(path = %path.display(), %error, "cannot create a root folder");
        }
        let store = DirStore::open(path)?.durable(self.options.durable);
        Ok(store.keep_partials(self.options.keep_partials))
    }

    /// Returns the roots outside the shared folder that were used so far.
    pub(crate) fn external_roots(&self) -> Vec<Arc<DirStore>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let outside = state.roots.iter().filter(|(path, _)| path.is_absolute());
        outside.map(|(_, (_, store))| Arc::clone(store)).collect()
    }
}

/// Reads the file; `None` if there is none.
fn read(path: &Path) -> Result<Option<(Stamp, Rules)>, String> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    #[cfg(unix)]
    // A user who can write this file could admit any key.
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o022 != 0 {
        return Err(format!(
            "other users can change it; run: chmod go-w {}",
            path.display()
        ));
    }
    let mut bytes = Vec::new();
    let taken = Read::by_ref(&mut file)
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes);
    // The keys behind the limit would be refused without a word.
    if taken.map_err(|error| error.to_string())? as u64 > MAX_BYTES {
        return Err(format!("it is longer than {MAX_BYTES} bytes"));
    }
    // A comment in another encoding must not keep the whole file from being read.
    let text = String::from_utf8_lossy(&bytes);
    let (rules, bad_lines) = parse(&text);
    for error in bad_lines {
        tracing::error!(file = %path.display(), %error, "line skipped");
    }
    let rules = rules.into_iter().map(|rule| (rule.key, rule)).collect();
    Ok(Some((Stamp::of(&metadata), rules)))
}

impl Admit for Authorization {
    fn knows(&self, key: &PublicKey) -> bool {
        // Checking the file costs less than the key exchange of the handshake has cost.
        self.anonymous.is_some() || self.current().rules.contains_key(key)
    }

    fn admit(&self, key: &PublicKey) -> Result<Option<Admission>, StoreError> {
        let mut state = self.current();
        // A key that is listed has the rights of its line, even if anonymous clients have more.
        let Some(rule) = state.rules.get(key).cloned() else {
            return Ok(self.anonymous.map(Admission::new));
        };
        let mut admission = Admission::new(rule.rights);
        admission.root = self.root(&mut state, &rule.root)?;
        admission.quota_bytes = rule.quota.map(|quota| quota.0);
        admission.quota_entries = rule.entries;
        admission.name = rule.comment;
        Ok(Some(admission))
    }
}
