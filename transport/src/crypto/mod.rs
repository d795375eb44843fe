//! Authentication of the peer; confidentiality and integrity of the packets.
//!
//! | file | content |
//! |---|---|
//! | [`identity`] | static key pairs, and the verifier of a peer's key |
//! | [`noise`] | Noise XX in the handshake's three messages |
//! | [`cipher`] | the AEADs, and a packet key |
//! | [`keys`] | a connection's keys, and their update |
//! | [`cookie`] | address validation without state |
//! | [`stateless_reset`] | proof of a lost connection without state |
//!
//! Every secret derives from bytes that the endpoint's caller hands in; nothing here asks the
//! operating system. It relies on [`crate::wire`] for lengths only, and knows no connection. Replays
//! are not detected here but by the packet number: [`crate::proto`] keeps the received numbers (512
//! ranges, and a floor below which every number counts as received) and drops a packet whose number
//! it has before the packet has any effect.

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
