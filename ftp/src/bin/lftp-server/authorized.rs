//! Who is let in: the file of authorized keys, as it is now.
//!
//! The file is looked at whenever a client connects, and read again when it was changed; who is
//! connected already keeps what he has. A file that makes no sense any more is reported, and
//! what held before still holds; one that is gone authorizes nobody.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use lftp_ftp::{Admission, Admit, DirStore, Place, Rights, StoreError};
use lftp_transport::PublicKey;

use crate::authorized_keys::{Root, Rule, parse};

/// Files longer than this are no lists of keys.
const MAX_BYTES: u64 = 16 << 20;

/// Decides by the file, and by what everybody may do.
#[derive(Debug)]
pub(crate) struct Authorized {
    file: PathBuf,
    anonymous: Option<Rights>,
    everything: Arc<DirStore>,
    /// As those of the shared folder.
    settings: Settings,
    state: Mutex<State>,
}

/// Of folders elsewhere.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) durable: bool,
    pub(crate) keep_parked: Duration,
}

#[derive(Debug, Default)]
struct State {
    stamp: Option<Stamp>,
    rules: Rules,
    /// One a folder, so that all its keys have the same books.
    places: BTreeMap<PathBuf, (Place, Arc<DirStore>)>,
}

/// What changes when a file does.
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

impl Authorized {
    /// Reads the file for the first time; it need not be there unless it was asked for.
    ///
    /// # Errors
    ///
    /// A sentence with the file and the line.
    pub(crate) fn open(
        file: PathBuf,
        must_be_there: bool,
        anonymous: Option<Rights>,
        everything: Arc<DirStore>,
        settings: Settings,
    ) -> Result<Self, String> {
        let read = match read(&file) {
            Ok(None) if must_be_there => Err("it is not there".to_owned()),
            read => read,
        };
        let named = |error| format!("the authorized keys in {}: {error}", file.display());
        let (stamp, rules) = read.map_err(named)?.unzip();
        let rules = rules.unwrap_or_default();
        match (rules.len(), anonymous) {
            (0, None) => {
                let advice = "nobody is let in: write \"read,write KEY\" into the authorized keys, \
                              with the KEY that \"lftp-client key\" prints, or say --anonymous rw";
                tracing::warn!(file = %file.display(), "{advice}");
            }
            (keys, _) => tracing::info!(file = %file.display(), keys, "authorized keys"),
        }
        if let Some(rights) = anonymous {
            tracing::warn!(%rights, "whoever reaches the ports is let in");
        }
        let state = State {
            stamp,
            rules,
            places: BTreeMap::new(),
        };
        Ok(Self {
            file,
            anonymous,
            everything,
            settings,
            state: Mutex::new(state),
        })
    }

    /// What holds now.
    fn now(&self) -> MutexGuard<'_, State> {
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
                tracing::info!(%file, keys = state.rules.len(), "authorized keys read again");
            }
            Err(error) => {
                state.stamp = stamp;
                tracing::error!(%file, %error, "what was authorized before still holds");
            }
        }
        state
    }

    fn place(&self, state: &mut State, root: &Root) -> Result<Option<Place>, StoreError> {
        let path = match root {
            Root::Everything => return Ok(None),
            Root::Below(name) => PathBuf::from(name.as_str()),
            Root::At(path) => path.clone(),
        };
        if let Some((place, _)) = state.places.get(&path) {
            return Ok(Some(place.clone()));
        }
        let store = Arc::new(match root {
            Root::Below(name) => self.everything.below(name)?,
            _ => self.elsewhere(&path)?,
        });
        let place = Place::new(&path.to_string_lossy(), Arc::clone(&store) as _);
        state.places.insert(path, (place.clone(), store));
        Ok(Some(place))
    }

    fn elsewhere(&self, path: &Path) -> Result<DirStore, StoreError> {
        if let Err(error) = fs::create_dir_all(path) {
            tracing::warn!(path = %path.display(), %error, "a root cannot be made");
        }
        let store = DirStore::open(path)?.durable(self.settings.durable);
        Ok(store.keep_parked(self.settings.keep_parked))
    }

    /// The folders outside of the shared one that were used.
    pub(crate) fn elsewhere_in_use(&self) -> Vec<Arc<DirStore>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let outside = state.places.iter().filter(|(path, _)| path.is_absolute());
        outside.map(|(_, (_, store))| Arc::clone(store)).collect()
    }
}

/// The file; `None` when there is none.
fn read(path: &Path) -> Result<Option<(Stamp, Rules)>, String> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o022 != 0 {
        return Err(format!(
            "others may write it; chmod go-w {}",
            path.display()
        ));
    }
    let mut text = String::new();
    let taken = Read::by_ref(&mut file)
        .take(MAX_BYTES)
        .read_to_string(&mut text);
    taken.map_err(|error| error.to_string())?;
    let rules = parse(&text).map_err(|error| error.to_string())?;
    let rules = rules.into_iter().map(|rule| (rule.key, rule)).collect();
    Ok(Some((Stamp::of(&metadata), rules)))
}

impl Admit for Authorized {
    fn knows(&self, key: &PublicKey) -> bool {
        // One look at the file costs less than the key exchange of the handshake did.
        self.anonymous.is_some() || self.now().rules.contains_key(key)
    }

    fn admit(&self, key: &PublicKey) -> Result<Option<Admission>, StoreError> {
        let mut state = self.now();
        let Some(rule) = state.rules.get(key).cloned() else {
            return Ok(self.anonymous.map(Admission::new));
        };
        let mut admission = Admission::new(rule.rights);
        admission.place = self.place(&mut state, &rule.root)?;
        admission.quota_bytes = rule.quota.map(|quota| quota.0);
        admission.name = rule.comment;
        Ok(Some(admission))
    }
}
