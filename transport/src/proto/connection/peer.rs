//! The other side of a connection, as its handshake has shown it.

use super::handshake::SynKey;
use crate::crypto::PublicKey;
use crate::crypto::stateless_reset::{self, ResetToken};

/// The names and proofs of the peer.
#[derive(Debug, Default)]
pub(crate) struct RemotePeer {
    /// The connection id that it chose; 0 before it is known.
    id: u32,
    /// The key that it has proved to hold.
    key: Option<PublicKey>,
    /// The token that only the server can show, when it has lost the connection.
    reset_token: Option<ResetToken>,
    /// The key by which a listener finds an accepted connection when a late copy of its SYN
    /// comes.
    syn_key: Option<SynKey>,
}

impl RemotePeer {
    /// A client, as its listener knows it.
    pub(super) const fn client(id: u32, key: PublicKey, syn_key: SynKey) -> Self {
        Self {
            id,
            key: Some(key),
            reset_token: None,
            syn_key: Some(syn_key),
        }
    }

    /// Takes the key that the server has proved to hold.
    pub(super) const fn set_key(&mut self, key: PublicKey) {
        self.key = Some(key);
    }

    /// Takes the id that the server chose and the token for its loss.
    pub(super) const fn set_server(&mut self, id: u32, reset_token: ResetToken) {
        self.id = id;
        self.reset_token = Some(reset_token);
    }

    pub(super) const fn id(&self) -> u32 {
        self.id
    }

    pub(super) const fn key(&self) -> Option<PublicKey> {
        self.key
    }

    pub(super) const fn syn_key(&self) -> Option<SynKey> {
        self.syn_key
    }

    /// Tells whether `token` proves that the server has lost the connection it called `id`
    /// (RFC 9000 §10.3.1).
    pub(super) fn has_lost(&self, id: u32, token: &ResetToken) -> bool {
        let known = self.reset_token.as_ref();
        self.id == id && known.is_some_and(|known| stateless_reset::is_same(known, token))
    }
}
