//! A connection's keys and their update.
//!
//! The handshake yields one secret per direction. The sender switches to the next key after a given
//! number of packets, far below the cipher's limit, and signals it by the key phase in the packet's
//! first byte (RFC 9001 §6, but each direction by itself). It switches only once a packet of the
//! present phase is acknowledged: the receiver then has the present key, so one bit is unambiguous.
//! The receiver derives the next key in advance, so that a forged phase costs it no more than any
//! forged packet, and keeps the previous key for packets that arrive late.

use std::fmt;

use super::cipher::{Cipher, PacketKey, Secret, next_secret};

/// The handshake's result: one secret per direction.
#[derive(Clone)]
pub(crate) struct Secrets {
    pub(crate) from_client: Secret,
    pub(crate) from_server: Secret,
}

/// One side's keys for both directions.
pub(crate) struct Keys {
    pub(crate) sealer: Sealer,
    pub(crate) opener: Opener,
    /// The other side's keys, for tests that decrypt packets or forge them.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) twin: (Sealer, Opener),
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("cipher", &self.sealer.cipher)
            .field("sealed", &self.sealer.sealed)
            .field("forged", &self.opener.forged)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// `update_after` is the number of packets sealed with one key.
    pub(crate) fn new(
        cipher: Cipher,
        secrets: &Secrets,
        is_client: bool,
        update_after: u64,
    ) -> Self {
        let (own, peers) = if is_client {
            (&secrets.from_client, &secrets.from_server)
        } else {
            (&secrets.from_server, &secrets.from_client)
        };
        Self {
            sealer: Sealer::new(cipher, own, update_after),
            opener: Opener::new(cipher, peers),
            #[cfg(any(test, feature = "fuzzing"))]
            twin: (
                Sealer::new(cipher, peers, u64::MAX),
                Opener::new(cipher, own),
            ),
        }
    }
}

/// Encrypts and authenticates the packets of this side.
pub(crate) struct Sealer {
    cipher: Cipher,
    key: PacketKey,
    secret: Secret,
    phase: bool,
    /// Packets sealed with the present key.
    sealed: u64,
    /// The first packet number of the present phase, once it is known.
    first: Option<u64>,
    /// Set once a packet of the present phase is acknowledged.
    confirmed: bool,
    update_after: u64,
    updates: u64,
}

impl Sealer {
    fn new(cipher: Cipher, secret: &Secret, update_after: u64) -> Self {
        Self {
            cipher,
            key: PacketKey::new(cipher, secret),
            secret: secret.clone(),
            phase: false,
            sealed: 0,
            first: None,
            confirmed: false,
            update_after: update_after.clamp(1, cipher.confidentiality_limit() / 2),
            updates: 0,
        }
    }

    #[cfg(test)]
    pub(crate) const fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Returns the phase for the next packet's header, after a key update if one is due.
    pub(crate) fn next_phase(&mut self) -> bool {
        // Not before the peer has confirmed the present key: two updates in flight would make the
        // one-bit phase ambiguous (RFC 9001 §6.1).
        if self.sealed >= self.update_after && self.confirmed {
            self.secret = next_secret(&self.secret);
            self.key = PacketKey::new(self.cipher, &self.secret);
            self.phase = !self.phase;
            self.sealed = 0;
            self.first = None;
            self.confirmed = false;
            self.updates += 1;
        }
        self.phase
    }

    /// Number of key updates so far.
    pub(crate) const fn updates(&self) -> u64 {
        self.updates
    }

    /// Returns `true` when the key must not seal any further packet. That only happens to a peer
    /// that acknowledges none of them.
    pub(crate) const fn is_used_up(&self) -> bool {
        self.sealed >= self.cipher.confidentiality_limit()
    }

    /// Seals the packet at the end of `out` as [`PacketKey::seal`].
    pub(crate) fn seal(
        &mut self,
        out: &mut Vec<u8>,
        start: usize,
        header_bytes: usize,
        number: u64,
    ) {
        self.first.get_or_insert(number);
        self.sealed += 1;
        self.key.seal(out, start, header_bytes, number);
    }

    /// Notes that the peer has acknowledged packet `number`.
    pub(crate) fn on_acked(&mut self, number: u64) {
        self.confirmed |= self.first.is_some_and(|first| number >= first);
    }
}

/// Authenticates and decrypts the packets of the peer.
pub(crate) struct Opener {
    cipher: Cipher,
    previous: Option<PacketKey>,
    current: PacketKey,
    next: PacketKey,
    next_secret: Secret,
    phase: bool,
    /// The lowest packet number opened in the present phase.
    first: u64,
    /// Packets that failed authentication.
    forged: u64,
}

impl Opener {
    fn new(cipher: Cipher, secret: &Secret) -> Self {
        let next = next_secret(secret);
        Self {
            cipher,
            previous: None,
            current: PacketKey::new(cipher, secret),
            next: PacketKey::new(cipher, &next),
            next_secret: next,
            phase: false,
            first: 0,
            forged: 0,
        }
    }

    /// Decrypts a packet in place. Returns the plaintext behind its header, or `None` when it is
    /// not from the peer or was changed on the way.
    pub(crate) fn open<'a>(
        &mut self,
        packet: &'a mut [u8],
        header_bytes: usize,
        number: u64,
        phase: bool,
    ) -> Option<&'a mut [u8]> {
        let is_current = phase == self.phase;
        // A late packet of the previous phase has the same phase bit as the next one; only its
        // number tells them apart.
        let is_next = !is_current && number > self.first;
        let key = if is_current {
            Some(&self.current)
        } else if is_next {
            Some(&self.next)
        } else {
            self.previous.as_ref()
        };
        let text = key.and_then(|key| key.open(packet, header_bytes, number));
        if text.is_none() {
            self.forged += 1;
        } else if is_next {
            self.switch_to_next(number);
        } else if is_current {
            self.first = self.first.min(number);
        }
        text
    }

    /// Follows the peer's key update, which took place at packet `number` or shortly before.
    fn switch_to_next(&mut self, number: u64) {
        self.next_secret = next_secret(&self.next_secret);
        let after = PacketKey::new(self.cipher, &self.next_secret);
        let next = std::mem::replace(&mut self.next, after);
        self.previous = Some(std::mem::replace(&mut self.current, next));
        self.phase = !self.phase;
        self.first = number;
    }

    /// Returns `true` when so many packets failed authentication that the cipher's integrity bound
    /// no longer holds (RFC 9001 §6.6).
    pub(crate) const fn is_integrity_exhausted(&self) -> bool {
        self.forged >= self.cipher.integrity_limit()
    }
}
