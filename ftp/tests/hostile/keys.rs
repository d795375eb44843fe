//! The handshake of the Noise Protocol Framework and the keys of packets (`docs/PROTOCOL.md`, 1.3
//! and 1.4).

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};

use crate::dice::Dice;

/// Keys of one direction.
pub(crate) struct Keys {
    key: LessSafeKey,
    iv: [u8; 12],
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(secret: &[u8; 32], label: &[u8], out: &mut [u8]) {
    let secret = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, secret);
    let info = [label];
    let okm = secret.expand(&info, Length(out.len())).unwrap();
    okm.fill(out).unwrap();
}

impl Keys {
    fn new(secret: &[u8; 32]) -> Self {
        let (mut key, mut iv) = ([0; 32], [0; 12]);
        expand(secret, b"lftp key", &mut key);
        expand(secret, b"lftp iv", &mut iv);
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key).unwrap();
        let key = LessSafeKey::new(key);
        Self { key, iv }
    }

    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.iv;
        for (byte, part) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= part;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    pub(crate) fn seal(&self, header: &[u8], number: u64, frames: &[u8]) -> Vec<u8> {
        let mut sealed = frames.to_vec();
        let aad = Aad::from(header);
        let key = &self.key;
        key.seal_in_place_append_tag(self.nonce(number), aad, &mut sealed)
            .unwrap();
        [header, &sealed].concat()
    }

    pub(crate) fn open(&self, header: &[u8], number: u64, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = sealed.to_vec();
        let aad = Aad::from(header);
        let opened = self.key.open_in_place(self.nonce(number), aad, &mut sealed);
        Some(opened.ok()?.to_vec())
    }
}

/// snow's primitives with a random source that follows from the seed.
struct Seeded(Dice);

impl CryptoResolver for Seeded {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Self(self.0.clone())))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

impl Random for Seeded {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        self.0.fill(dest);
        Ok(())
    }
}

/// One side of a handshake.
pub(crate) struct Handshake(HandshakeState);

impl Handshake {
    pub(crate) fn new(is_client: bool, secret: [u8; 32], dice: &mut Dice) -> Self {
        let pattern = "Noise_XX_25519_ChaChaPoly_BLAKE2s".parse().unwrap();
        let builder = Builder::with_resolver(pattern, Box::new(Seeded(dice.fork())));
        let builder = builder.prologue(b"LFTP 2").unwrap();
        let builder = builder.local_private_key(&secret).unwrap();
        Self(if is_client {
            builder.build_initiator().unwrap()
        } else {
            builder.build_responder().unwrap()
        })
    }

    pub(crate) fn write(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut message = vec![0; payload.len() + 256];
        let length = self.0.write_message(payload, &mut message).unwrap();
        message.truncate(length);
        message
    }

    pub(crate) fn read(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let mut payload = vec![0; message.len()];
        let length = self.0.read_message(message, &mut payload).ok()?;
        payload.truncate(length);
        Some(payload)
    }

    /// Keys for packets from the client, and from the server.
    pub(crate) fn split(&mut self) -> (Keys, Keys) {
        let (from_client, from_server) = self.0.dangerously_get_raw_split();
        (Keys::new(&from_client), Keys::new(&from_server))
    }

    /// The first eight bytes of the handshake hash.
    pub(crate) fn hash_echo(&self) -> [u8; 8] {
        self.0.get_handshake_hash()[..8].try_into().unwrap()
    }
}
