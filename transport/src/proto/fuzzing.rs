//! Ways in for the fuzzer (feature `fuzzing`): the decoder, the handshake, and the frames of
//! an established connection behind a valid seal. Bytes are read as a script; any are one.
//! And a way in for tests that attack an endpoint from outside the crate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{ConnectionId, Endpoint, Event};
use crate::wire::{Frames, Header, Reader, digest};
use crate::{Config, Ecn, Time};

/// Datagrams that the two endpoints exchange before a script resumes.
const MOST_ROUNDS: usize = 64;

/// Decodes a datagram: its header, and what follows as frames.
pub fn datagram(bytes: &[u8]) {
    let Ok((header, header_bytes)) = Header::decode(bytes) else {
        return;
    };
    let mut again = Vec::new();
    header.encode(&mut again);
    if let Ok((decoded, _)) = Header::decode(&again) {
        assert_eq!(format!("{decoded:?}"), format!("{header:?}"));
    }
    let frames = Frames::new(Reader::new(&bytes[header_bytes..]));
    // A frame is at least a byte.
    assert!(frames.take_while(Result::is_ok).count() <= bytes.len());
}

/// Datagrams for a listener and for a client that waits for an answer: arbitrary ones, and
/// the true ones of the handshake with bytes changed.
pub fn handshake(script: &[u8]) {
    let mut script = Script(script);
    let mut duo = Duo::new();
    while let Some(step) = script.byte() {
        let to = usize::from(step & 1);
        match (step >> 1) % 4 {
            0 => duo.deliver(to, script.bytes().to_vec()),
            1 => duo.deliver(to, with_checksum(script.bytes())),
            2 => {
                let change = (script.number(), script.byte().unwrap_or(0));
                duo.changed = Some(change);
                duo.exchange(1);
            }
            _ => duo.pass(script.number()),
        }
        let listener = &duo.sides[1];
        assert!(listener.half_open_count() <= duo.config.half_open_limit);
    }
}

/// Frames of the script's own, sealed as the peer would, between true traffic.
pub fn connection(script: &[u8]) {
    let mut script = Script(script);
    let mut duo = Duo::new();
    duo.exchange(MOST_ROUNDS);
    let Some(accepted) = duo.accepted else {
        panic!("two endpoints on a clean path connect");
    };
    let ids = [duo.client, accepted];
    let mut number = 1_000;
    while let Some(step) = script.byte() {
        let side = usize::from(step & 1);
        let (endpoint, id) = (&mut duo.sides[side], ids[side]);
        let lives = endpoint.is_established(id) && endpoint.error(id).is_none();
        match (step >> 1) % 8 {
            0..=2 => {
                number += u64::from(script.byte().unwrap_or(0) % 16);
                duo.forge(side, id, number, script.bytes());
            }
            3 => duo.pass(script.number()),
            4 => duo.exchange(4),
            5 if lives => {
                let len = usize::from(script.number());
                if endpoint.write_room(id) >= len as u64 {
                    endpoint.write(id, Bytes::from(vec![step; len]));
                }
            }
            6 => while endpoint.read(id, usize::MAX).is_some() {},
            7 if lives && step & 0x80 != 0 => {
                endpoint.finish(id);
                // Nothing may be written behind a FIN.
                return duo.exchange(MOST_ROUNDS);
            }
            _ => {}
        }
    }
    duo.exchange(MOST_ROUNDS);
    duo.pass(u16::MAX);
}

/// A packet of frames as the peer of a connection could send it; `None` when `endpoint` has no
/// such connection, or no keys for it. For tests that attack an endpoint.
pub fn packet_from_peer(
    endpoint: &mut Endpoint,
    id: ConnectionId,
    packet_number: u64,
    frames: &[u8],
) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let header = Header::Data {
        destination: id.0,
        phase: false,
        packet_number,
    };
    header.encode(&mut bytes);
    let header_bytes = bytes.len();
    bytes.extend_from_slice(frames);
    let keys = endpoint.connection_mut(id.0)?.keys_mut()?;
    let sealer = &mut keys.twin.0;
    sealer.seal(&mut bytes, 0, header_bytes, packet_number);
    Some(bytes)
}

/// The checksum of what is sent before there are keys, so that the bytes are read at all.
fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let sum = digest(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes
}

/// The rest of the fuzzer's bytes.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn number(&mut self) -> u16 {
        let high = self.byte().unwrap_or(0);
        u16::from_be_bytes([high, self.byte().unwrap_or(0)])
    }

    /// As many as the next number says, or what is left.
    fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.number()).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }
}

/// A client, a listener and nothing between them.
struct Duo {
    now: Time,
    config: Arc<Config>,
    sides: [Endpoint; 2],
    client: ConnectionId,
    accepted: Option<ConnectionId>,
    /// A change to the next datagram in flight: the index of a byte, and the mask XORed to it.
    changed: Option<(u16, u8)>,
}

impl Duo {
    fn new() -> Self {
        let config = Arc::new(Config::default());
        let mut sides = [1_u8, 2].map(|side| {
            let mut state = u64::from(side);
            let random = move |bytes: &mut [u8]| {
                for byte in bytes {
                    state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    *byte = (state >> 56) as u8;
                }
            };
            Endpoint::new(Arc::clone(&config), Box::new(random))
        });
        sides[1].set_listening(true);
        let client = sides[0].connect(Time::ZERO, address(1));
        Self {
            now: Time::ZERO,
            config,
            sides,
            client,
            accepted: None,
            changed: None,
        }
    }

    fn deliver(&mut self, to: usize, mut bytes: Vec<u8>) {
        let ecn = Some(Ecn::Ect0);
        self.sides[to].handle_datagram(self.now, address(1 - to), ecn, &mut bytes);
    }

    fn forge(&mut self, to: usize, id: ConnectionId, packet_number: u64, frames: &[u8]) {
        if let Some(bytes) = packet_from_peer(&mut self.sides[to], id, packet_number, frames) {
            self.deliver(to, bytes);
        }
    }

    /// Lets both send to each other so many times, at once.
    fn exchange(&mut self, rounds: usize) {
        for _ in 0..rounds {
            let mut in_flight = Vec::new();
            for (from, endpoint) in self.sides.iter_mut().enumerate() {
                let mut out = Vec::new();
                while let Some(outgoing) = endpoint.poll_transmit(self.now, 1, &mut out) {
                    assert!(outgoing.segment_bytes > 0 && !out.is_empty());
                    if outgoing.destination == address(1 - from) {
                        in_flight.push((1 - from, std::mem::take(&mut out)));
                    }
                    out.clear();
                }
            }
            if in_flight.is_empty() {
                break;
            }
            for (to, mut bytes) in in_flight {
                if let Some((at, mask)) = self.changed.take() {
                    let at = usize::from(at) % bytes.len();
                    bytes[at] ^= mask;
                }
                self.deliver(to, bytes);
            }
            self.take_events();
        }
    }

    fn take_events(&mut self) {
        for endpoint in &mut self.sides {
            while let Some(event) = endpoint.poll_event() {
                if let Event::Accepted(id) = event {
                    self.accepted.get_or_insert(id);
                }
            }
        }
    }

    fn pass(&mut self, milliseconds: u16) {
        self.now += Duration::from_millis(u64::from(milliseconds));
        for endpoint in &mut self.sides {
            endpoint.handle_timeout(self.now);
        }
        self.exchange(2);
    }
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1 + side as u8], 3154))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Duo, MOST_ROUNDS};
    use crate::proto::ConnectionError;

    #[test]
    fn a_frame_of_a_script_reaches_the_connection() {
        let mut duo = Duo::new();
        duo.exchange(MOST_ROUNDS);
        for (side, id) in [duo.client, duo.accepted.unwrap()].into_iter().enumerate() {
            duo.forge(side, id, 1_000, &[0x77]);
            let error = duo.sides[side].error(id);
            assert!(
                matches!(error, Some(ConnectionError::Protocol(_))),
                "{error:?}"
            );
        }
    }

    /// The committed seeds of a target, one file each; there must be some.
    fn replay(target: &str, run: impl Fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
        let mut count = 0;
        for entry in std::fs::read_dir(folder.join(target)).unwrap() {
            run(&std::fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0, "no seeds for {target}");
    }

    #[test]
    fn the_seeds_of_the_fuzz_targets_pass() {
        replay("datagram", super::datagram);
        replay("handshake", super::handshake);
        replay("connection", super::connection);
    }
}
