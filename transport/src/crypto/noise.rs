//! Noise XX in the handshake's three messages (The Noise Protocol Framework, revision 34,
//! §7.5): `-> e`, `<- e, ee, s, es`, `-> s, se`.
//!
//! SYN carries the first message, SYN/ACK the second, ACK the third. Both sides prove a static key;
//! the server's is hidden from passive observers, the client's from everyone but the server. Each
//! side's ephemeral key comes from a seed that is handed in, so the same seed gives the same
//! packets.

use std::fmt;

use snow::params::{CipherChoice, DHChoice, HashChoice, NoiseParams};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

use super::identity::{Identity, KEY_BYTES, PublicKey};
use super::keys::Secrets;
use crate::wire::HANDSHAKE_FINISH_BYTES;

const PATTERN: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";

/// Mixed into the handshake by both sides, so that another protocol or version fails.
const PROLOGUE: &[u8] = b"LFTP 2";

/// The longest accepted payload of a first message, bytes.
const MAX_PAYLOAD: usize = 64;

/// Buffer size for the second message: two keys, two tags, and its payload.
const SECOND_ROOM: usize = 256;

/// The seed of an ephemeral key.
pub(crate) type Seed = Zeroizing<[u8; KEY_BYTES]>;

/// A message that does not follow from the ones before it, or was changed on the way.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a handshake message is not what the peer would have sent")]
pub(crate) struct HandshakeError;

impl From<snow::Error> for HandshakeError {
    fn from(_: snow::Error) -> Self {
        Self
    }
}

/// snow's default primitives, with the seed as the source of randomness.
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

/// Yields the seed once, to the only ephemeral key, and fails after that.
struct Once(Option<Seed>);

impl Random for Once {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        let seed = self.0.take().filter(|seed| seed.len() == dest.len());
        dest.copy_from_slice(&seed.ok_or(snow::Error::Rng)?[..]);
        Ok(())
    }
}

fn start(identity: &Identity, seed: &Seed, is_client: bool) -> HandshakeState {
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

/// The first eight bytes, whose echo shows that a peer has received the message.
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

/// The result of the client's handshake: the third message, and the secrets.
pub(crate) struct Completed {
    pub(crate) handshake_finish: [u8; HANDSHAKE_FINISH_BYTES],
    pub(crate) secrets: Secrets,
}

impl Initiator {
    /// Starts a handshake. `payload` is sent in the clear but authenticated: a change of it makes
    /// the handshake fail.
    pub(crate) fn new(identity: &Identity, seed: &Seed, payload: &[u8]) -> Self {
        let mut state = start(identity, seed, true);
        // snow insists on space for a tag, which a first message does not have.
        let mut first = vec![0; KEY_BYTES + payload.len() + 16];
        let len = state.write_message(payload, &mut first);
        first.truncate(len.expect("the buffer is large enough"));
        Self { state, first }
    }

    /// The first message.
    pub(crate) fn first(&self) -> &[u8] {
        &self.first
    }

    /// The echo expected in an unprotected answer.
    pub(crate) fn echo(&self) -> u64 {
        echo_of(&self.first)
    }

    /// Reads the second message; returns its payload and the server's key. A forged message leaves
    /// the state unchanged.
    pub(crate) fn read_second(
        &mut self,
        message: &[u8],
    ) -> Result<(Vec<u8>, PublicKey), HandshakeError> {
        let mut payload = vec![0; message.len()];
        let len = self.state.read_message(message, &mut payload)?;
        payload.truncate(len);
        Ok((payload, remote_key(&self.state)?))
    }

    /// The echo in the client's refusal, known after the second message.
    pub(crate) fn refusal_echo(&self) -> u64 {
        echo_of(self.state.get_handshake_hash())
    }

    /// Completes the handshake after the second message.
    pub(crate) fn complete(&mut self) -> Result<Completed, HandshakeError> {
        let mut handshake_finish = [0; HANDSHAKE_FINISH_BYTES];
        let len = self.state.write_message(&[], &mut handshake_finish)?;
        debug_assert_eq!(len, HANDSHAKE_FINISH_BYTES);
        Ok(Completed {
            handshake_finish,
            secrets: secrets(&mut self.state),
        })
    }
}

/// The server's side. A forged third message costs a decryption: snow checks the encrypted key
/// before it computes with it. The state may be forgotten while the client is slow; it is then
/// replayed from the seed.
pub(crate) struct Responder {
    state: Option<HandshakeState>,
    seed: Seed,
    first: Vec<u8>,
    payload: Vec<u8>,
    second: Vec<u8>,
    refusal_echo: u64,
    /// How often the state was computed again.
    replays: u32,
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").finish_non_exhaustive()
    }
}

/// The client's payload in a first message, not yet authenticated.
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
            replays: 0,
        })
    }

    fn replay(
        identity: &Identity,
        seed: &Seed,
        first: &[u8],
        payload: &[u8],
    ) -> Result<(HandshakeState, Vec<u8>), HandshakeError> {
        let mut state = start(identity, seed, false);
        let mut read = [0; SECOND_ROOM];
        state.read_message(first, &mut read)?;
        let mut second = vec![0; SECOND_ROOM];
        let len = state.write_message(payload, &mut second)?;
        second.truncate(len);
        second.shrink_to_fit();
        Ok((state, second))
    }

    /// The second message.
    pub(crate) fn second(&self) -> &[u8] {
        &self.second
    }

    /// The echo expected in a refusal by the client.
    pub(crate) const fn refusal_echo(&self) -> u64 {
        self.refusal_echo
    }

    /// Reads the third message; returns the client's key and the secrets.
    pub(crate) fn read_finish(
        &mut self,
        identity: &Identity,
        message: &[u8; HANDSHAKE_FINISH_BYTES],
    ) -> Result<(PublicKey, Secrets), HandshakeError> {
        if self.state.is_none() {
            self.replays += 1;
            self.state = Some(Self::replay(identity, &self.seed, &self.first, &self.payload)?.0);
        }
        let state = self.state.as_mut().ok_or(HandshakeError)?;
        if state
            .read_message(message, &mut [0; HANDSHAKE_FINISH_BYTES])
            .is_err()
        {
            // With a genuine key and a forged rest, snow has taken the key and takes no other:
            // only who has seen the client's message can cause that. And a state that was
            // forgotten for its memory is not kept for garbage.
            if self.replays > 0 || state.get_remote_static().is_some() {
                self.state = None;
            }
            return Err(HandshakeError);
        }
        Ok((remote_key(state)?, secrets(state)))
    }

    /// Forgets what can be computed again, most of the memory.
    pub(crate) fn compact(&mut self) {
        self.state = None;
    }

    /// How often the state was computed again.
    pub(crate) const fn replays(&self) -> u32 {
        self.replays
    }
}
