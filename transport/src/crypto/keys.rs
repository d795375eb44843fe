//! A connection's keys and their update.
//!
//! Each direction has a secret of its own out of the handshake. Its sender goes over to the
//! next one after a given number of packets, far below the cipher's limit, and says so by the
//! key phase in the packet's first byte (as RFC 9001 §6, but each direction by itself). It
//! does so only when a packet of the present phase was acknowledged: the receiver then has
//! the present key, and one bit cannot be mistaken. The receiver has the next key at hand, so
//! that a forged phase costs it no more than any forged packet, and keeps the previous one
//! for packets that arrive late.

use std::fmt;

use super::cipher::{Cipher, PacketKey, Secret, next_secret};

/// What the handshake gives: a secret a direction.
#[derive(Clone)]
pub(crate) struct Secrets {
    pub(crate) from_client: Secret,
    pub(crate) from_server: Secret,
}

/// Both directions' keys of one side.
pub(crate) struct Keys {
    pub(crate) sealer: Sealer,
    pub(crate) opener: Opener,
    /// The other side's view, for tests that look into packets or invent them.
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
    /// `update_after` is how many packets one key seals.
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

/// Seals what this side sends.
pub(crate) struct Sealer {
    cipher: Cipher,
    key: PacketKey,
    secret: Secret,
    phase: bool,
    /// Packets sealed with the present key.
    sealed: u64,
    /// The first packet number of the present phase, once it is known.
    first: Option<u64>,
    /// A packet of the present phase was acknowledged.
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

    /// The phase for the next packet's header. Goes over to the next key when it is time.
    pub(crate) fn next_phase(&mut self) -> bool {
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

    /// How often the key was changed.
    pub(crate) const fn updates(&self) -> u64 {
        self.updates
    }

    /// Whether the key must seal no further packet: the peer acknowledges none of them.
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

    /// The peer has acknowledged a packet with this number.
    pub(crate) fn on_acked(&mut self, number: u64) {
        self.confirmed |= self.first.is_some_and(|first| number >= first);
    }
}

/// Opens what the peer sends.
pub(crate) struct Opener {
    cipher: Cipher,
    previous: Option<PacketKey>,
    current: PacketKey,
    next: PacketKey,
    next_secret: Secret,
    phase: bool,
    /// The lowest packet number opened in the present phase.
    first: u64,
    /// Packets that did not open.
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

    /// Opens a packet in place: the bytes behind its header, or nothing when it is not from
    /// the peer, or not as the peer sent it.
    pub(crate) fn open<'a>(
        &mut self,
        packet: &'a mut [u8],
        header_bytes: usize,
        number: u64,
        phase: bool,
    ) -> Option<&'a mut [u8]> {
        let is_current = phase == self.phase;
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
            self.go_over(number);
        } else if is_current {
            self.first = self.first.min(number);
        }
        text
    }

    /// The peer has gone over to the next key with this packet, or just before.
    fn go_over(&mut self, number: u64) {
        self.next_secret = next_secret(&self.next_secret);
        let after = PacketKey::new(self.cipher, &self.next_secret);
        let next = std::mem::replace(&mut self.next, after);
        self.previous = Some(std::mem::replace(&mut self.current, next));
        self.phase = !self.phase;
        self.first = number;
    }

    /// Whether so much was forged that the cipher's promise wears thin.
    pub(crate) const fn is_worn_out(&self) -> bool {
        self.forged >= self.cipher.integrity_limit()
    }
}
