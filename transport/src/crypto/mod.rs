//! Who the peer is, and that nobody else reads, changes or invents what is said.
//!
//! | file | what |
//! |---|---|
//! | [`identity`] | a side's key pair, and who decides whether a peer's key will do |
//! | [`noise`] | Noise XX in the handshake's three messages |
//! | [`cipher`] | which AEAD, and one key of it |
//! | [`keys`] | a connection's keys, and their update |
//! | [`cookie`] | proof of an address without keeping anything |
//! | [`stateless_reset`] | proof that a connection is lost without keeping anything |
//!
//! Everything secret starts from bytes that the endpoint's caller hands in; nothing in here
//! asks the operating system. Replays are told by the packet number: what has arrived is
//! kept by [`crate::proto`]'s `ack` (512 ranges, and a floor below which everything counts
//! as received), and a number that was there is dropped before it has any effect.

pub(crate) mod cipher;
pub(crate) mod cookie;
mod identity;
pub(crate) mod keys;
pub(crate) mod noise;
pub(crate) mod stateless_reset;

pub use cipher::{Cipher, UnknownCipher};
pub use identity::{Identity, InvalidKey, Peer, PeerVerifier, PublicKey};

#[cfg(test)]
mod tests;
