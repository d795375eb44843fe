//! Noise XX in the handshake's three messages (The Noise Protocol Framework, revision 34,
//! §7.5): `-> e`, `<- e, ee, s, es`, `-> s, se`.
//!
//! SYN carries the first message, SYN/ACK the second, ACK the third. Both sides prove a
//! static key; the server's is hidden from who only listens, the client's from everybody but
//! the server. Each side's ephemeral key comes from a seed that is handed in, so that the
//! same seed gives the same packets.

use std::fmt;

use snow::params::{CipherChoice, DHChoice, HashChoice, NoiseParams};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

use super::identity::{Identity, KEY_BYTES, PublicKey};
use super::keys::Secrets;
use crate::wire::THIRD_BYTES;

const PATTERN: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";

/// Both sides mix it in: who speaks something else is not understood.
const PROLOGUE: &[u8] = b"LFTP 2";

/// The longest payload of a first message that is looked at.
const MAX_PAYLOAD: usize = 64;

/// Room for the second message: two keys, two tags, and its payload.
const SECOND_ROOM: usize = 256;

/// What an ephemeral key is made of.
pub(crate) type Seed = Zeroizing<[u8; KEY_BYTES]>;

/// A message that does not follow from the ones before it, or that somebody changed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a handshake message is not what the peer would have sent")]
pub(crate) struct HandshakeError;

impl From<snow::Error> for HandshakeError {
    fn from(_: snow::Error) -> Self {
        Self
    }
}

/// snow's own primitives, and a random source that gives the seed once.
struct Seeded(Seed);

impl CryptoResolver for Seeded {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.0.clone()))))
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

/// Gives the seed to the one ephemeral key there is, and nothing to anybody after.
struct Once(Option<Seed>);

impl Random for Once {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        let seed = self.0.take().filter(|seed| seed.len() == dest.len());
        dest.copy_from_slice(&seed.ok_or(snow::Error::Rng)?[..]);
        Ok(())
    }
}

fn begin(identity: &Identity, seed: &Seed, is_client: bool) -> HandshakeState {
    let params: NoiseParams = PATTERN.parse().expect("snow knows the pattern");
    Builder::with_resolver(params, Box::new(Seeded(seed.clone())))
        .local_private_key(identity.secret())
        .and_then(|builder| builder.prologue(PROLOGUE))
        .and_then(|builder| {
            if is_client {
                builder.build_initiator()
            } else {
                builder.build_responder()
            }
        })
        .expect("the resolver has every primitive of the pattern")
}

fn secrets(state: &mut HandshakeState) -> Secrets {
    let (from_client, from_server) = state.dangerously_get_raw_split();
    Secrets {
        from_client: Zeroizing::new(from_client),
        from_server: Zeroizing::new(from_server),
    }
}

fn remote_key(state: &HandshakeState) -> Result<PublicKey, HandshakeError> {
    let bytes = state.get_remote_static().ok_or(HandshakeError)?;
    let bytes = bytes.try_into().map_err(|_| HandshakeError)?;
    Ok(PublicKey::from_bytes(bytes))
}

/// The first eight bytes: enough for a peer to show that it saw the rest.
pub(crate) fn echo_of(bytes: &[u8]) -> u64 {
    let head = bytes.first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(head)
}

/// The client's side.
pub(crate) struct Initiator {
    state: HandshakeState,
    first: Vec<u8>,
}

impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initiator").finish_non_exhaustive()
    }
}

/// The client's handshake is done: what goes to the server, and what stays.
pub(crate) struct Completed {
    pub(crate) third: [u8; THIRD_BYTES],
    pub(crate) secrets: Secrets,
}

impl Initiator {
    /// Begins; `payload` goes in the clear, but the handshake fails if somebody changes it.
    pub(crate) fn new(identity: &Identity, seed: &Seed, payload: &[u8]) -> Self {
        let mut state = begin(identity, seed, true);
        // snow wants room for a tag, which a first message does not have.
        let mut first = vec![0; KEY_BYTES + payload.len() + 16];
        let len = state.write_message(payload, &mut first);
        first.truncate(len.expect("there is room"));
        Self { state, first }
    }

    /// The first message.
    pub(crate) fn first(&self) -> &[u8] {
        &self.first
    }

    /// What an answer before there are keys has to repeat.
    pub(crate) fn echo(&self) -> u64 {
        echo_of(&self.first)
    }

    /// Reads the second message: its payload and the server's key. One that somebody changed
    /// leaves everything as it was.
    pub(crate) fn read_second(
        &mut self,
        message: &[u8],
    ) -> Result<(Vec<u8>, PublicKey), HandshakeError> {
        let mut payload = vec![0; message.len()];
        let len = self.state.read_message(message, &mut payload)?;
        payload.truncate(len);
        Ok((payload, remote_key(&self.state)?))
    }

    /// After the second message: what a refusal by the client has to repeat.
    pub(crate) fn refusal_echo(&self) -> u64 {
        echo_of(self.state.get_handshake_hash())
    }

    /// After the second message: the third, and the secrets.
    pub(crate) fn complete(&mut self) -> Result<Completed, HandshakeError> {
        let mut third = [0; THIRD_BYTES];
        let len = self.state.write_message(&[], &mut third)?;
        debug_assert_eq!(len, THIRD_BYTES);
        Ok(Completed {
            third,
            secrets: secrets(&mut self.state),
        })
    }
}

/// The server's side. After a third message that somebody changed, Noise cannot go on; it is
/// then done anew from the seed up to where it was.
pub(crate) struct Responder {
    state: Option<HandshakeState>,
    seed: Seed,
    first: Vec<u8>,
    payload: Vec<u8>,
    second: Vec<u8>,
    refusal_echo: u64,
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").finish_non_exhaustive()
    }
}

/// The client's payload in a first message; it is not proved by anything yet.
pub(crate) fn first_payload(message: &[u8]) -> Result<&[u8], HandshakeError> {
    let payload = message.get(KEY_BYTES..).ok_or(HandshakeError)?;
    if payload.len() > MAX_PAYLOAD {
        return Err(HandshakeError);
    }
    Ok(payload)
}

impl Responder {
    /// Reads the first message and writes the second, with `payload` for the client.
    pub(crate) fn new(
        identity: &Identity,
        seed: Seed,
        first: &[u8],
        payload: Vec<u8>,
    ) -> Result<Self, HandshakeError> {
        let (state, second) = Self::replay(identity, &seed, first, &payload)?;
        Ok(Self {
            refusal_echo: echo_of(state.get_handshake_hash()),
            state: Some(state),
            seed,
            first: first.to_vec(),
            payload,
            second,
        })
    }

    fn replay(
        identity: &Identity,
        seed: &Seed,
        first: &[u8],
        payload: &[u8],
    ) -> Result<(HandshakeState, Vec<u8>), HandshakeError> {
        let mut state = begin(identity, seed, false);
        let mut read = [0; SECOND_ROOM];
        state.read_message(first, &mut read)?;
        let mut second = vec![0; SECOND_ROOM];
        let len = state.write_message(payload, &mut second)?;
        second.truncate(len);
        Ok((state, second))
    }

    /// The second message.
    pub(crate) fn second(&self) -> &[u8] {
        &self.second
    }

    /// What a client that will have nothing to do with this server repeats.
    pub(crate) const fn refusal_echo(&self) -> u64 {
        self.refusal_echo
    }

    /// Reads the third message: the client's key, and the secrets.
    pub(crate) fn read_third(
        &mut self,
        identity: &Identity,
        message: &[u8; THIRD_BYTES],
    ) -> Result<(PublicKey, Secrets), HandshakeError> {
        let mut state = match self.state.take() {
            Some(state) => state,
            None => Self::replay(identity, &self.seed, &self.first, &self.payload)?.0,
        };
        state.read_message(message, &mut [0; THIRD_BYTES])?;
        Ok((remote_key(&state)?, secrets(&mut state)))
    }
}
