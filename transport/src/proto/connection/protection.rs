//! Packet protection: the keys that seal and open packets, and the header in front of the
//! sealed part.

use crate::crypto::keys::Keys;
use crate::wire::{HANDSHAKE_FINISH_BYTES, Header};

/// The keys of both directions, and the handshake message that may still have to precede them.
#[derive(Debug, Default)]
pub(crate) struct PacketProtection {
    /// `None` before the handshake is complete.
    keys: Option<Box<Keys>>,
    /// A client's last handshake message, until the server has shown that it arrived.
    handshake_finish: Option<[u8; HANDSHAKE_FINISH_BYTES]>,
}

/// The plaintext part of an ACK or DATA packet.
#[derive(Copy, Clone, Debug)]
pub(crate) struct ProtectedPacket {
    pub(crate) number: u64,
    pub(crate) phase: bool,
    /// The last handshake message is in front.
    pub(crate) has_handshake_finish: bool,
    pub(crate) header_bytes: usize,
}

/// The reasons for which a packet does not open.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum NotOpened {
    /// There are no keys yet, or the packet was not sealed with them.
    Forged,
    /// And with it so many that the keys must not be used any more.
    TooManyForged,
}

impl PacketProtection {
    /// Installs the keys that the handshake has given.
    pub(super) fn install(&mut self, keys: Keys) {
        self.keys = Some(Box::new(keys));
    }

    /// Has every packet carry the client's last handshake message, until
    /// [`confirm_handshake`](Self::confirm_handshake).
    pub(super) const fn set_handshake_finish(&mut self, message: [u8; HANDSHAKE_FINISH_BYTES]) {
        self.handshake_finish = Some(message);
    }

    /// The peer has completed the handshake.
    pub(super) const fn confirm_handshake(&mut self) {
        self.handshake_finish = None;
    }

    /// Tells whether no further packet may be sealed: there are no keys, or the peer has
    /// acknowledged nothing for as long as the present one may be used.
    pub(super) fn is_used_up(&self) -> bool {
        self.keys
            .as_ref()
            .is_none_or(|keys| keys.sealer.is_used_up())
    }

    /// Appends the header of packet `packet_number` and gives its length.
    pub(super) fn put_header(
        &mut self,
        out: &mut Vec<u8>,
        destination: u32,
        packet_number: u64,
    ) -> usize {
        let start = out.len();
        let keys = self.keys.as_mut();
        let phase = keys.is_some_and(|keys| keys.sealer.next_phase());
        match &self.handshake_finish {
            Some(handshake_finish) => Header::Ack {
                destination,
                handshake_finish,
                packet_number,
            },
            None => Header::Data {
                destination,
                phase,
                packet_number,
            },
        }
        .encode(out);
        out.len() - start
    }

    /// Seals packet `number`, which begins at `start`.
    pub(super) fn seal(
        &mut self,
        out: &mut Vec<u8>,
        start: usize,
        header_bytes: usize,
        number: u64,
    ) {
        if let Some(keys) = &mut self.keys {
            keys.sealer.seal(out, start, header_bytes, number);
        }
    }

    /// Opens a packet where it lies and gives its frames.
    pub(super) fn open<'a>(
        &mut self,
        packet: ProtectedPacket,
        datagram: &'a mut [u8],
    ) -> Result<&'a mut [u8], NotOpened> {
        let keys = self.keys.as_mut().ok_or(NotOpened::Forged)?;
        let opener = &mut keys.opener;
        let frames = opener.open(datagram, packet.header_bytes, packet.number, packet.phase);
        frames.ok_or_else(|| {
            // RFC 9001 §6.6: enough forgeries wear out what the cipher promises.
            if opener.is_integrity_exhausted() {
                NotOpened::TooManyForged
            } else {
                NotOpened::Forged
            }
        })
    }

    /// Takes the highest packet number of an acknowledgement.
    pub(super) fn on_acked(&mut self, largest: u64) {
        if let Some(keys) = &mut self.keys {
            keys.sealer.on_acked(largest);
        }
    }

    /// Times this side's key was changed.
    pub(super) fn updates(&self) -> u64 {
        self.keys.as_ref().map_or(0, |keys| keys.sealer.updates())
    }

    /// The cipher in use.
    #[cfg(test)]
    pub(super) fn cipher(&self) -> Option<crate::Cipher> {
        self.keys.as_ref().map(|keys| keys.sealer.cipher())
    }

    /// The keys themselves, for tests that look into packets or invent them.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn keys_mut(&mut self) -> Option<&mut Keys> {
        self.keys.as_deref_mut()
    }
}
