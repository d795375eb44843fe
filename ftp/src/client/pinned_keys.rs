//! Authentication of servers by a list of keys.

use std::sync::Arc;

use lftp_transport::{Peer, PeerVerifier, PublicKey};

/// Accepts servers with one of these keys only.
#[derive(Clone, Debug)]
pub struct PinnedKeys(pub Vec<PublicKey>);

impl PinnedKeys {
    /// Creates a verifier for one key, for [`Config::verifier`](lftp_transport::Config::verifier).
    pub fn verifier(key: PublicKey) -> Arc<dyn PeerVerifier> {
        Arc::new(Self(vec![key]))
    }
}

impl PeerVerifier for PinnedKeys {
    fn verify(&self, peer: &Peer) -> bool {
        self.0.contains(&peer.key)
    }
}
