//! Servers that are told by their keys.

use std::sync::Arc;

use lftp_transport::{Peer, PeerVerifier, PublicKey};

/// Has to do with servers of these keys only.
#[derive(Clone, Debug)]
pub struct Pinned(pub Vec<PublicKey>);

impl Pinned {
    /// For one key, as [`Config::verifier`](lftp_transport::Config::verifier).
    pub fn verifier(key: PublicKey) -> Arc<dyn PeerVerifier> {
        Arc::new(Self(vec![key]))
    }
}

impl PeerVerifier for Pinned {
    fn verify(&self, peer: &Peer) -> bool {
        self.0.contains(&peer.key)
    }
}
