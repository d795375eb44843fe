//! Who may do what: rights, and the policy that admits clients by their keys.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use lftp_transport::{Peer, PeerVerifier, PublicKey};

use super::storage_root::StorageRoot;
use crate::protocol::{Code, Refusal, Reply};
use crate::store::StoreError;

/// Actions that are open to a client.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Get files, list folders, ask for hashes.
    pub read: bool,
    /// Put files, replacing existing ones.
    pub write: bool,
}

impl Rights {
    /// All rights.
    pub const ALL: Self = Self {
        read: true,
        write: true,
    };
}

/// Formats rights as [`FromStr`] parses them.
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

/// A text that does not name rights.
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

/// ClientIdentity is let in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Access {
    /// Every client, with these rights on everything that is shared.
    Everyone(Rights),
    /// Clients that a policy admits, on its terms. All others are refused in the handshake.
    Listed(Arc<dyn Admit>),
}

/// Policy that admits clients by their keys.
pub trait Admit: Send + Sync + fmt::Debug + 'static {
    /// Returns whether this key may do anything. Called during handshakes: must not block.
    fn knows(&self, key: &PublicKey) -> bool;

    /// Returns what this key may do; `None` when that is nothing. May block.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when its storage root cannot be used.
    fn admit(&self, key: &PublicKey) -> Result<Option<Admission>, StoreError>;
}

/// Terms on which a client is admitted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Admission {
    /// Actions it may take.
    pub rights: Rights,
    /// Root of the files it sees; `None` for everything that the server shares.
    pub root: Option<StorageRoot>,
    /// Bytes that the files of that root may take on the disk together when this client adds some.
    pub quota_bytes: Option<u64>,
    /// Files, folders and everything else with a name that may be in that root, if there is a
    /// quota. By default one for each 4 KiB of it, and at least 64.
    pub quota_entries: Option<u64>,
    /// Name of the key's owner, for the log.
    pub name: String,
}

impl Admission {
    /// An admission with these rights on everything that is shared.
    pub const fn new(rights: Rights) -> Self {
        Self {
            rights,
            root: None,
            quota_bytes: None,
            quota_entries: None,
            name: String::new(),
        }
    }
}

/// Refuses unknown keys in the handshake, before a connection costs the server anything.
#[derive(Debug)]
pub(super) struct AdmissionVerifier {
    pub(super) admit: Arc<dyn Admit>,
    /// The verifier of the transport's configuration, which is asked first.
    pub(super) next: Option<Arc<dyn PeerVerifier>>,
}

impl PeerVerifier for AdmissionVerifier {
    fn verify(&self, peer: &Peer) -> bool {
        let next = self.next.as_ref();
        let is_known = next.is_none_or(|next| next.verify(peer)) && self.admit.knows(&peer.key);
        if !is_known {
            tracing::info!(key = %peer.key, client = %peer.addr, "client refused: unknown key");
        }
        is_known
    }
}

impl Access {
    /// Admits or refuses a client. May block.
    pub(super) fn admit(&self, key: Option<PublicKey>) -> Reply<Admission> {
        let admitted = match (self, &key) {
            (Self::Everyone(rights), _) => Some(Admission::new(*rights)),
            (Self::Listed(admit), Some(key)) => admit.admit(key)?,
            (Self::Listed(_), None) => None,
        };
        admitted.ok_or_else(|| Refusal::new(Code::NotAdmitted, "the server does not know this key"))
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
