//! The test vectors of `docs/PROTOCOL.md`, and a client written from that document alone.
//!
//! Nothing in here uses the crate's codec: what it knows of the wire it knows from the document.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use bytes::Bytes;
use lftp_transport::proto::{ConnectionId, Endpoint, Event};
use lftp_transport::{Cipher, Config, Identity, Time};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Dh, Hash, Random};
use snow::{Builder, HandshakeState};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const DOCUMENT: &str = include_str!("../../docs/PROTOCOL.md");

const CHECKSUM_SEED: u64 = 0x4c46_5450_0000_0002;

const CLIENT_ID: u32 = 0x0a0b_0c0d;
const SERVER_ID: u32 = 0x0102_0304;

const CLIENT_SECRET: [u8; 32] = [0x11; 32];
const SERVER_SECRET: [u8; 32] = [0x22; 32];
const CLIENT_EPHEMERAL: [u8; 32] = [0x33; 32];
const SERVER_EPHEMERAL: [u8; 32] = [0x44; 32];

const SERVER_PORT: u16 = 3154;

/// The message in the first data packet: the hello of a control connection.
const HELLO: &[u8] = b"\0\0\0\x21{\"lftp\":3,\"connection\":\"control\"}";

fn client_addr() -> SocketAddr {
    "192.0.2.1:50000".parse().unwrap()
}

fn server_addr() -> SocketAddr {
    "192.0.2.2:3154".parse().unwrap()
}

/// Returns the bytes of the vector `name`: the hexadecimal digits of its fenced block, without
/// the comments behind `;`. `00*8` stands for eight zero bytes.
fn vector(name: &str) -> Vec<u8> {
    let fence = format!("```hex {name}\n");
    let (_, block) = DOCUMENT
        .split_once(&fence)
        .unwrap_or_else(|| panic!("no vector {name}"));
    let (block, _) = block.split_once("```").unwrap();
    let code = block.lines().filter_map(|line| line.split(';').next());
    let mut bytes = Vec::new();
    for word in code.flat_map(str::split_whitespace) {
        let (digits, count) = word.split_once('*').unwrap_or((word, "1"));
        for _ in 0..count.parse().unwrap() {
            let pairs = digits.as_bytes().chunks(2);
            let pair = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
            bytes.extend(pairs.map(pair));
        }
    }
    bytes
}

fn hex(bytes: &[u8]) -> String {
    let lines = bytes.chunks(32).map(|line| {
        let digits: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
        digits + "\n"
    });
    lines.collect()
}

#[track_caller]
fn assert_vector(name: &str, actual: &[u8]) {
    assert!(vector(name) == actual, "{name} is\n{}", hex(actual));
}

/// Endpoint of this crate with fixed keys, ids and settings.
fn endpoint(secret: [u8; 32], ephemeral: [u8; 32], id: u32) -> Endpoint {
    let config = Config {
        identity: Some(Identity::from_secret(secret)),
        cipher: Some(Cipher::ChaCha20Poly1305),
        ecn: false,
        ..Config::default()
    };
    let random = move |bytes: &mut [u8]| match bytes.len() {
        4 => bytes.copy_from_slice(&id.to_be_bytes()),
        _ => bytes.copy_from_slice(&ephemeral[..bytes.len()]),
    };
    Endpoint::new(Arc::new(config), Box::new(random))
}

fn server() -> Endpoint {
    let mut server = endpoint(SERVER_SECRET, SERVER_EPHEMERAL, SERVER_ID);
    server.set_listening(true);
    server.set_local_port(SERVER_PORT);
    server
}

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

/// Returns the one datagram that is to be sent now.
#[track_caller]
fn sent(endpoint: &mut Endpoint, now: Time) -> Vec<u8> {
    let mut datagram = Vec::new();
    endpoint
        .poll_transmit(now, 1, &mut datagram)
        .expect("a datagram");
    datagram
}

#[test]
fn the_handshake_and_the_first_data_packet_are_those_of_the_document() {
    let mut client = endpoint(CLIENT_SECRET, CLIENT_EPHEMERAL, CLIENT_ID);
    let mut server = server();
    let id = client.connect(at(0), server_addr());
    let mut syn = sent(&mut client, at(0));
    assert_vector("syn", &syn);
    server.handle_datagram(at(10), client_addr(), None, &mut syn);
    let mut syn_ack = sent(&mut server, at(10));
    assert_vector("syn-ack", &syn_ack);
    client.handle_datagram(at(20), server_addr(), None, &mut syn_ack);
    client.write(id, Bytes::from_static(HELLO));
    let mut ack = sent(&mut client, at(20));
    assert_vector("ack", &ack);
    server.handle_datagram(at(30), client_addr(), None, &mut ack);
    let Some(Event::Accepted(accepted)) = server.poll_event() else {
        panic!("the third message completes the handshake");
    };
    assert_eq!(&*server.read(accepted, 100).unwrap(), HELLO);
    server.handle_timeout(at(33));
    assert_vector("server-data", &sent(&mut server, at(33)));
}

/// Traffic keys of one direction.
struct Keys {
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
        Self {
            key: LessSafeKey::new(key),
            iv,
        }
    }

    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.iv;
        for (byte, part) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= part;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&self, header: &[u8], number: u64, frames: &[u8]) -> Vec<u8> {
        let mut sealed = frames.to_vec();
        let aad = Aad::from(header);
        self.key
            .seal_in_place_append_tag(self.nonce(number), aad, &mut sealed)
            .unwrap();
        [header, &sealed].concat()
    }

    fn open(&self, header: &[u8], number: u64, sealed: &[u8]) -> Vec<u8> {
        let mut sealed = sealed.to_vec();
        let aad = Aad::from(header);
        let opened = self.key.open_in_place(self.nonce(number), aad, &mut sealed);
        opened.unwrap().to_vec()
    }
}

fn put_varint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=0x3f => out.push(value as u8),
        0x40..=0x3fff => out.extend((value as u16 | 0x4000).to_be_bytes()),
        0x4000..=0x3fff_ffff => out.extend((value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend((value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

fn take_varint(bytes: &mut &[u8]) -> u64 {
    let length = 1 << (bytes[0] >> 6);
    let (field, rest) = bytes.split_at(length);
    *bytes = rest;
    let value = field
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte));
    value & (u64::MAX >> (66 - 8 * length))
}

/// snow's primitives, with the ephemeral key of the document as the random source.
struct FixedEphemeral;

impl CryptoResolver for FixedEphemeral {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Self))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn snow::types::Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

impl Random for FixedEphemeral {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        dest.copy_from_slice(&CLIENT_EPHEMERAL);
        Ok(())
    }
}

/// A client that knows only the document.
struct IndependentPeer {
    noise: HandshakeState,
    third: Vec<u8>,
    server_id: u32,
    keys: Option<(Keys, Keys)>,
    next_number: u64,
}

impl IndependentPeer {
    fn new() -> Self {
        let pattern = "Noise_XX_25519_ChaChaPoly_BLAKE2s".parse().unwrap();
        let noise = Builder::with_resolver(pattern, Box::new(FixedEphemeral))
            .prologue(b"LFTP 2")
            .and_then(|builder| builder.local_private_key(&CLIENT_SECRET))
            .and_then(Builder::build_initiator);
        Self {
            noise: noise.unwrap(),
            third: Vec::new(),
            server_id: 0,
            keys: None,
            next_number: 0,
        }
    }

    fn syn(&mut self) -> Vec<u8> {
        let mut parameters = Vec::new();
        for parameter in [65_507, 8 << 20, 25_000, 2] {
            put_varint(&mut parameters, parameter);
        }
        let mut first = [0; 128];
        let length = self.noise.write_message(&parameters, &mut first).unwrap();
        let mut syn = vec![0x31, 0, 0, 0, 0];
        syn.extend(CLIENT_ID.to_be_bytes());
        syn.push(0);
        put_varint(&mut syn, length as u64);
        syn.extend(&first[..length]);
        syn.resize(1192, 0);
        let checksum = xxh3_64_with_seed(&syn, CHECKSUM_SEED);
        syn.extend(checksum.to_be_bytes());
        syn
    }

    fn on_syn_ack(&mut self, datagram: &[u8]) {
        assert_eq!(datagram[0], 0x32);
        assert_eq!(datagram[1..5], CLIENT_ID.to_be_bytes());
        let mut payload = [0; 128];
        let length = self
            .noise
            .read_message(&datagram[5..], &mut payload)
            .unwrap();
        let mut payload = &payload[..length];
        self.server_id = u32::from_be_bytes(payload[..4].try_into().unwrap());
        payload = &payload[20..];
        let parameters = [(); 4].map(|()| take_varint(&mut payload));
        assert_eq!(parameters, [65_507, 8 << 20, 25_000, 2]);
        let mut third = [0; 64];
        assert_eq!(self.noise.write_message(&[], &mut third).unwrap(), 64);
        self.third = third.to_vec();
        let (from_client, from_server) = self.noise.dangerously_get_raw_split();
        assert_vector("client-secret", &from_client);
        assert_vector("server-secret", &from_server);
        self.keys = Some((Keys::new(&from_client), Keys::new(&from_server)));
    }

    /// Builds a packet: an ACK packet until the server has answered with a DATA packet.
    fn packet(&mut self, frames: &[u8]) -> Vec<u8> {
        let mut header = vec![if self.third.is_empty() { 0x34 } else { 0x33 }];
        header.extend(self.server_id.to_be_bytes());
        header.extend(&self.third);
        let number = self.next_number;
        self.next_number += 1;
        put_varint(&mut header, number);
        let (seal, _) = self.keys.as_ref().unwrap();
        seal.seal(&header, number, frames)
    }

    /// Opens a DATA packet: its number and its frames.
    fn open(&mut self, datagram: &[u8]) -> (u64, Vec<u8>) {
        assert_eq!(datagram[0], 0x34);
        assert_eq!(datagram[1..5], CLIENT_ID.to_be_bytes());
        let mut rest = &datagram[5..];
        let number = take_varint(&mut rest);
        let header = &datagram[..datagram.len() - rest.len()];
        let (_, open) = self.keys.as_ref().unwrap();
        self.third.clear();
        (number, open.open(header, number, rest))
    }
}

fn stream_frame(offset: u64, bytes: &[u8], fin: bool) -> Vec<u8> {
    let mut frame = vec![if fin { 0x09 } else { 0x08 }];
    put_varint(&mut frame, offset);
    frame.extend(bytes);
    frame
}

/// Establishes a connection between an independent client and a server of this crate, with `HELLO` sent.
fn connected() -> (IndependentPeer, Endpoint, ConnectionId) {
    let (mut client, mut server) = (IndependentPeer::new(), server());
    let mut syn = client.syn();
    assert_vector("syn", &syn);
    server.handle_datagram(at(10), client_addr(), None, &mut syn);
    client.on_syn_ack(&sent(&mut server, at(10)));
    let frames = [&[0x01][..], &stream_frame(0, HELLO, false)].concat();
    assert_vector("ack-frames", &frames);
    let mut ack = client.packet(&frames);
    assert_vector("ack", &ack);
    server.handle_datagram(at(30), client_addr(), None, &mut ack);
    let Some(Event::Accepted(id)) = server.poll_event() else {
        panic!("the third message completes the handshake");
    };
    assert_eq!(&*server.read(id, 100).unwrap(), HELLO);
    (client, server, id)
}

#[test]
fn a_client_written_from_the_document_exchanges_data_and_closes() {
    let (mut client, mut server, id) = connected();
    server.handle_timeout(at(33));
    let (number, frames) = client.open(&sent(&mut server, at(33)));
    assert_eq!(number, 0);
    assert_vector("server-data-frames", &frames);
    // The reply, and the server's FIN.
    server.write(id, Bytes::from_static(b"reply"));
    server.finish(id);
    let (number, frames) = client.open(&sent(&mut server, at(40)));
    assert!(
        frames.ends_with(&stream_frame(0, b"reply", true)),
        "{frames:02x?}"
    );
    // ACKED: the largest number, no delay, no gaps, and all numbers below it; then the FIN.
    let acked = vec![0x02, number as u8, 0, 0, number as u8];
    let fin = stream_frame(HELLO.len() as u64, b"", true);
    let mut packet = client.packet(&[acked, fin].concat());
    assert_eq!(
        packet[0], 0x34,
        "the server has answered, so DATA packets follow"
    );
    server.handle_datagram(at(50), client_addr(), None, &mut packet);
    assert!(
        server.is_finished(id),
        "the server's bytes and its FIN are acknowledged"
    );
    assert!(
        server.is_read_out(id),
        "the client's bytes and its FIN have arrived"
    );
    assert_eq!(server.error(id), None);
}

#[test]
fn a_reset_from_a_client_written_from_the_document_ends_the_connection() {
    let (mut client, mut server, id) = connected();
    let mut reset = client.packet(&[0x06, 0x41, 0x02]);
    server.handle_datagram(at(40), client_addr(), None, &mut reset);
    let error = server.error(id).unwrap().to_string();
    assert!(error.contains("258"), "{error}");
}

#[test]
fn a_server_that_has_lost_the_connection_sends_the_reset_token_of_the_document() {
    let (mut client, _, _) = connected();
    let mut packet = client.packet(&[0x01]);
    let mut restarted = server();
    restarted.handle_datagram(at(50), client_addr(), None, &mut packet);
    assert_vector("lost", &sent(&mut restarted, at(50)));
}
