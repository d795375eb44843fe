//! The one server key that the command line names.

use lftp_transport::{Peer, PeerVerifier, PublicKey};

/// Lets in nobody else.
#[derive(Debug)]
pub(crate) struct Pinned(pub(crate) PublicKey);

impl PeerVerifier for Pinned {
    fn verify(&self, peer: &Peer) -> bool {
        peer.key == self.0
    }
}
