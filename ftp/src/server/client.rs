//! One client of the server: its identity, and what it was admitted to.

use std::net::SocketAddr;
use std::sync::Arc;

use lftp_transport::{PublicKey, Stream};

use super::access::{Admission, Rights};
use super::quota_usage::Quota;
use super::revocation::Revocation;
use super::shares::Holder;
use super::storage_root::{StorageRoot, StorageRoots};
use crate::protocol::{Code, Refusal, Reply};
use crate::store::Store;

/// Identity of a client, for the log and to recognise its data connections.
#[derive(Clone, Debug)]
pub(super) struct ClientIdentity {
    pub(super) key: Option<PublicKey>,
    pub(super) addr: SocketAddr,
    /// Name of the key's owner; empty before the admission.
    pub(super) name: Arc<str>,
    /// Ends this client when its key is removed or has fewer rights.
    pub(super) revocation: Revocation,
}

impl ClientIdentity {
    /// The client as one who holds something of the server.
    pub(super) fn holder(&self) -> Holder {
        Holder::new(self.addr.ip(), self.key)
    }

    pub(super) fn of(stream: &Stream) -> Self {
        Self {
            key: stream.peer_key(),
            addr: stream.remote_addr(),
            name: "".into(),
            revocation: Revocation::default(),
        }
    }
}

/// A client that was admitted.
#[derive(Clone, Debug)]
pub(super) struct AdmittedClient {
    pub(super) identity: ClientIdentity,
    pub(super) rights: Rights,
    pub(super) root: StorageRoot,
    quota: Option<Quota>,
}

impl AdmittedClient {
    pub(super) fn new(
        admission: Admission,
        (everything, roots): (&StorageRoot, &StorageRoots),
        mut identity: ClientIdentity,
    ) -> Self {
        identity.name = admission.name.into();
        Self {
            identity,
            rights: admission.rights,
            root: roots.unique(admission.root.unwrap_or_else(|| everything.clone())),
            quota: admission
                .quota_bytes
                .map(|bytes| Quota::new(bytes, admission.quota_entries)),
        }
    }

    /// Refuses an action that this client has no right to.
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
        let key = self.identity.key;
        let key = key.map_or_else(String::new, |key| format!(" {key}"));
        let reason = format!(
            "{action} is not for this client: its key{key} has no right to {right} on this server"
        );
        Err(Refusal::new(Code::NoRight, reason))
    }

    /// Returns the store that this client's files go to.
    pub(super) fn store_to_write(&self) -> Arc<dyn Store> {
        self.root.store_to_write(self.quota)
    }

    /// Qualifies the key of an upload with the client's root: two roots may have files of one name.
    pub(super) fn qualified(&self, key: &str) -> String {
        format!("{}\0{key}", self.root.label)
    }
}
