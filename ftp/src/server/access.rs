//! Who may do what, and where.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use lftp_transport::{Peer, PeerVerifier, PublicKey, Stream};

use super::quota::Ledger;
use crate::protocol::Code;
use crate::protocol::{Refusal, Reply};
use crate::store::{Store, StoreError};

/// What a client may do.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Get files, list folders, hear hashes.
    pub read: bool,
    /// Put files, also in the place of others.
    pub write: bool,
}

impl Rights {
    /// Everything.
    pub const ALL: Self = Self {
        read: true,
        write: true,
    };
}

/// As [`FromStr`] reads it.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.read, self.write) {
            (true, true) => "read,write",
            (true, false) => "read",
            (false, true) => "write",
            (false, false) => "none",
        })
    }
}

/// A text that says no rights.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rights are read, write, or read,write (short: rw)")]
pub struct InvalidRights;

impl FromStr for Rights {
    type Err = InvalidRights;

    fn from_str(text: &str) -> Result<Self, InvalidRights> {
        let (read, write) = match text {
            "read" => (true, false),
            "write" => (false, true),
            "rw" | "read,write" | "write,read" => (true, true),
            _ => return Err(InvalidRights),
        };
        Ok(Self { read, write })
    }
}

/// Who is let in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Access {
    /// Whoever comes, with these rights on everything that is shared.
    Everyone(Rights),
    /// Whom somebody else admits, on his terms. The others are refused in the handshake.
    Listed(Arc<dyn Admit>),
}

/// Decides by a client's key.
pub trait Admit: Send + Sync + fmt::Debug + 'static {
    /// Whether there is anything that this key may do. Asked in the middle of handshakes: be
    /// quick.
    fn knows(&self, key: &PublicKey) -> bool;

    /// What this key may do; `None` when that is nothing. May block.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when its place cannot be used.
    fn admit(&self, key: &PublicKey) -> Result<Option<Admission>, StoreError>;
}

/// What one client may do, and where.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Admission {
    /// What it may do.
    pub rights: Rights,
    /// Where; `None` for all that the server shares.
    pub place: Option<Place>,
    /// The bytes that the files of that place may have together, for this client to add some.
    pub quota_bytes: Option<u64>,
    /// Whose key it is, for the log.
    pub name: String,
}

impl Admission {
    /// With these rights on everything that is shared.
    pub const fn new(rights: Rights) -> Self {
        Self {
            rights,
            place: None,
            quota_bytes: None,
            name: String::new(),
        }
    }
}

/// A store that is somebody's root. Clones are the same place.
#[derive(Clone, Debug)]
pub struct Place {
    pub(super) label: Arc<str>,
    pub(super) store: Arc<dyn Store>,
    pub(super) ledger: Ledger,
}

impl Place {
    /// A place with a name that tells it from the others of one server.
    pub fn new(label: &str, store: Arc<dyn Store>) -> Self {
        Self {
            label: label.into(),
            store,
            ledger: Ledger::default(),
        }
    }
}

/// Turns away in the handshake whom nobody knows.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) admit: Arc<dyn Admit>,
    /// The configuration's own.
    pub(super) before: Option<Arc<dyn PeerVerifier>>,
}

impl PeerVerifier for Door {
    fn verify(&self, peer: &Peer) -> bool {
        let before = self.before.as_ref();
        let is_in = before.is_none_or(|before| before.verify(peer)) && self.admit.knows(&peer.key);
        if !is_in {
            tracing::info!(key = %peer.key, client = %peer.addr, "client refused: unknown key");
        }
        is_in
    }
}

impl Access {
    /// On which terms a client is let in. May block.
    pub(super) fn admit(&self, key: Option<PublicKey>) -> Reply<Admission> {
        let admitted = match (self, &key) {
            (Self::Everyone(rights), _) => Some(Admission::new(*rights)),
            (Self::Listed(admit), Some(key)) => admit.admit(key)?,
            (Self::Listed(_), None) => None,
        };
        admitted.ok_or_else(|| Refusal::new(Code::NotAdmitted, "the server does not know this key"))
    }
}

/// One client, for the log and for the wait for its data connections.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) key: Option<PublicKey>,
    pub(super) client: SocketAddr,
    pub(super) name: Arc<str>,
}

impl Who {
    pub(super) fn of(stream: &Stream) -> Self {
        Self {
            key: stream.peer_key(),
            client: stream.remote_addr(),
            name: "".into(),
        }
    }
}

/// A client that was let in.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) who: Who,
    pub(super) rights: Rights,
    pub(super) place: Place,
    pub(super) quota_bytes: Option<u64>,
}

impl Client {
    pub(super) fn new(admission: Admission, everything: &Place, mut who: Who) -> Self {
        who.name = admission.name.into();
        Self {
            who,
            rights: admission.rights,
            place: admission.place.unwrap_or_else(|| everything.clone()),
            quota_bytes: admission.quota_bytes,
        }
    }

    /// Refuses what is not for this client.
    pub(super) fn may(&self, action: &'static str) -> Reply<()> {
        let is_write = action.starts_with("put");
        let (right, has_it) = if is_write {
            ("write", self.rights.write)
        } else {
            ("read", self.rights.read)
        };
        if has_it {
            return Ok(());
        }
        let key = self
            .who
            .key
            .map_or_else(String::new, |key| format!(" {key}"));
        let reason = format!(
            "{action} is not for this client: its key{key} has no right to {right} on this server"
        );
        Err(Refusal::new(Code::NoRight, reason))
    }

    /// Where its files go. Blocks.
    pub(super) fn store_to_write(&self) -> Result<Arc<dyn Store>, StoreError> {
        match self.quota_bytes {
            None => Ok(Arc::clone(&self.place.store)),
            Some(quota) => self.place.ledger.store(&self.place.store, quota),
        }
    }

    /// What a reception of its is called among those of all clients.
    pub(super) fn own(&self, key: &str) -> String {
        format!("{}\0{key}", self.place.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_as_they_are_written() {
        for text in ["read", "write", "read,write"] {
            assert_eq!(text.parse::<Rights>().unwrap().to_string(), text);
        }
        assert_eq!("rw".parse(), Ok(Rights::ALL));
        for text in ["", "r", "read,", "none", "READ", "read, write"] {
            assert_eq!(text.parse::<Rights>(), Err(InvalidRights), "{text:?}");
        }
    }
}
