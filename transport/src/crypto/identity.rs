//! Static key pairs, and the verifier of a peer's key.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use aws_lc_rs::hmac;
use snow::params::DHChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};
use zeroize::Zeroizing;

use crate::prefix::canonical;

/// Length of an X25519 key, bytes (RFC 7748 §5).
pub(crate) const KEY_BYTES: usize = 32;

/// An X25519 public key, the identity of a peer. Displayed as 64 hexadecimal digits.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// The key with these bytes.
    pub const fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// The error of a text that is not a key.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 64 hexadecimal digits")]
pub struct InvalidKey;

impl FromStr for PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        parse_hex(text).map(Self)
    }
}

/// Decodes 64 hexadecimal digits.
fn parse_hex(text: &str) -> Result<[u8; KEY_BYTES], InvalidKey> {
    let digits = text.as_bytes();
    if digits.len() != 2 * KEY_BYTES {
        return Err(InvalidKey);
    }
    let mut bytes = [0; KEY_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: u8| char::from(digit).to_digit(16).ok_or(InvalidKey);
        *byte = (value(pair[0])? << 4 | value(pair[1])?) as u8;
    }
    Ok(bytes)
}

/// A static X25519 key pair. The secret key is zeroized when it is dropped.
#[derive(Clone)]
pub struct Identity {
    secret: Zeroizing<[u8; KEY_BYTES]>,
    public: PublicKey,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.public).finish()
    }
}

impl Identity {
    /// Generates a key pair from `fill_random`, which must be a cryptographically secure source.
    pub fn generate(fill_random: impl FnOnce(&mut [u8])) -> Self {
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        fill_random(&mut secret[..]);
        Self::from_secret(*secret)
    }

    /// The key pair of a secret key, as returned by [`secret`](Self::secret).
    pub fn from_secret(secret: [u8; KEY_BYTES]) -> Self {
        let mut dh = DefaultResolver
            .resolve_dh(&DHChoice::Curve25519)
            .expect("the resolver is built with X25519");
        dh.set(&secret);
        let mut public = [0; KEY_BYTES];
        public.copy_from_slice(dh.pubkey());
        Self {
            secret: Zeroizing::new(secret),
            public: PublicKey(public),
        }
    }

    /// The secret key. A reader of it can impersonate this side.
    pub fn secret(&self) -> &[u8; KEY_BYTES] {
        &self.secret
    }

    /// A secret of this side's own, for one purpose and context: HMAC-SHA-256 under the secret
    /// key.
    pub(crate) fn derive(&self, purpose: &[u8], context: &[u8]) -> Zeroizing<[u8; 32]> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret[..]);
        let mut hash = hmac::Context::with_key(&key);
        hash.update(purpose);
        hash.update(context);
        let mut derived = Zeroizing::new([0; 32]);
        derived.copy_from_slice(hash.sign().as_ref());
        derived
    }

    /// The secret key as 64 hexadecimal digits, for a file that only its owner can read.
    pub fn secret_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(PublicKey(*self.secret).to_string())
    }

    /// Parses a secret key of 64 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] when `text` is anything else.
    pub fn from_secret_hex(text: &str) -> Result<Self, InvalidKey> {
        parse_hex(text).map(Self::from_secret)
    }

    /// The public key, by which peers identify this side.
    pub const fn public_key(&self) -> PublicKey {
        self.public
    }
}

/// A peer that has proved possession of its secret key.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The peer's public key.
    pub key: PublicKey,
    /// The peer's address, validated by the handshake; an IPv4 address is one, also on a
    /// dual-stack socket.
    pub addr: SocketAddr,
    /// `true` when the peer is the client and this side the listener.
    pub is_client: bool,
}

impl Peer {
    pub(crate) const fn new(key: PublicKey, addr: SocketAddr, is_client: bool) -> Self {
        Self {
            key,
            addr: canonical(addr),
            is_client,
        }
    }
}

/// Decides which peers may connect. Called from inside the state machine, so it must not block.
pub trait PeerVerifier: Send + Sync + fmt::Debug {
    /// Returns `true` to accept `peer`. A rejected peer receives a refusal, and this side's
    /// connection fails with
    /// [`ConnectionError::UntrustedPeer`](crate::ConnectionError::UntrustedPeer).
    fn verify(&self, peer: &Peer) -> bool;
}
