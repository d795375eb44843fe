//! Keys that the server admits, and their quota.

use lftp_ftp::{Admission, Admit, Rights, StoreError};
use lftp_transport::{Identity, PublicKey};

/// Secret of the key of the client that transfers the file.
pub(super) const CLIENT: [u8; 32] = [2; 32];

/// Secret of the key of a malicious client.
pub(super) const fn rogue(index: usize) -> [u8; 32] {
    [100 + index as u8; 32]
}

/// Admits the client and every other malicious client; the rest have no key that counts.
#[derive(Debug)]
pub(super) struct Keys {
    known: Vec<PublicKey>,
    quota_bytes: Option<u64>,
}

impl Keys {
    pub(super) fn new(rogues: usize, quota_bytes: Option<u64>) -> Self {
        let rogues = (0..rogues).step_by(2).map(rogue);
        let known = std::iter::once(CLIENT)
            .chain(rogues)
            .map(|secret| Identity::from_secret(secret).public_key())
            .collect();
        Self { known, quota_bytes }
    }
}

impl Admit for Keys {
    fn knows(&self, key: &PublicKey) -> bool {
        self.known.contains(key)
    }

    fn admit(&self, key: &PublicKey) -> Result<Option<Admission>, StoreError> {
        if !self.knows(key) {
            return Ok(None);
        }
        let mut admission = Admission::new(Rights::ALL);
        admission.quota_bytes = self.quota_bytes;
        Ok(Some(admission))
    }
}
