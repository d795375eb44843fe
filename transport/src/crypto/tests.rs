//! Unit tests of key pairs, packet keys, cookies and the handshake.

use std::net::SocketAddr;
use std::time::Duration;

use zeroize::Zeroizing;

use super::cookie::CookieJar;
use super::keys::{Keys, Secrets};
use super::noise::{Initiator, Responder};
use super::stateless_reset::ResetKey;
use super::{Cipher, Identity, InvalidKey, Peer, PublicKey};
use crate::Time;

fn keys(cipher: Cipher, update_after: u64) -> (Keys, Keys) {
    let secrets = Secrets {
        from_client: Zeroizing::new([1; 32]),
        from_server: Zeroizing::new([2; 32]),
    };
    let of = |is_client| Keys::new(cipher, &secrets, is_client, update_after);
    (of(true), of(false))
}

/// Encrypts `text` behind a one-byte header that holds the phase.
fn sealed(keys: &mut Keys, number: u64, text: &[u8]) -> Vec<u8> {
    let mut packet = vec![u8::from(keys.sealer.next_phase())];
    packet.extend_from_slice(text);
    keys.sealer.seal(&mut packet, 0, 1, number);
    packet
}

fn opens(keys: &mut Keys, number: u64, packet: &[u8]) -> bool {
    let mut copy = packet.to_vec();
    let phase = packet[0] == 1;
    keys.opener.open(&mut copy, 1, number, phase).is_some()
}

#[test]
fn a_public_key_follows_from_the_secret_as_rfc_7748_has_it() {
    // RFC 7748 §5.2: after one iteration.
    let alice = "0900000000000000000000000000000000000000000000000000000000000000";
    let alice = Identity::from_secret_hex(alice).unwrap();
    let public = "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079";
    assert_eq!(alice.public_key().to_string(), public);
    assert_eq!(public.parse(), Ok(alice.public_key()));
    assert_eq!(
        *Identity::from_secret(*alice.secret()).secret_hex(),
        *alice.secret_hex()
    );
    assert!(!format!("{alice:?}").contains("09000000"));
    assert_eq!("422c".parse::<PublicKey>(), Err(InvalidKey));
    assert_eq!(
        public.replace('8', "x").parse::<PublicKey>(),
        Err(InvalidKey)
    );
}

#[test]
fn only_the_packet_itself_opens_and_only_under_its_number() {
    for cipher in [Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305] {
        let (mut client, mut server) = keys(cipher, 1 << 20);
        let packet = sealed(&mut client, 7, b"text");
        assert_eq!(packet.len(), 1 + 4 + 16);
        assert!(opens(&mut server, 7, &packet));
        assert!(!opens(&mut server, 8, &packet));
        assert!(
            !opens(&mut client, 7, &packet),
            "directions have their own keys"
        );
        for at in 0..packet.len() {
            let mut forged = packet.clone();
            forged[at] ^= 1;
            assert!(!opens(&mut server, 7, &forged));
            assert!(!opens(&mut server, 7, &packet[..at.max(1)]));
        }
    }
}

#[test]
fn a_key_is_updated_only_once_the_peer_has_confirmed_it() {
    let (mut client, mut server) = keys(Cipher::Aes128Gcm, 10);
    let mut late = Vec::new();
    for number in 0..100 {
        let packet = sealed(&mut client, number, b"text");
        if number % 10 == 9 {
            late.push((number, packet));
        } else {
            assert!(opens(&mut server, number, &packet));
        }
        if number == 50 {
            assert_eq!(client.sealer.updates(), 0, "no packet is acknowledged");
        }
        if number >= 50 {
            client.sealer.on_acked(number);
        }
    }
    assert_eq!(client.sealer.updates(), 5);
    // A packet late by one phase still opens; one late by two does not.
    let (last, earlier) = (late.pop().unwrap(), late.remove(0));
    assert!(opens(&mut server, last.0, &last.1));
    assert!(!opens(&mut server, earlier.0, &earlier.1));
}

#[test]
fn a_forged_phase_changes_no_key() {
    let (mut client, mut server) = keys(Cipher::ChaCha20Poly1305, 10);
    for number in 0..50 {
        let mut forged = sealed(&mut client, number, b"text");
        forged[0] ^= 1;
        assert!(!opens(&mut server, number, &forged));
        forged[0] ^= 1;
        assert!(opens(&mut server, number, &forged));
    }
}

#[test]
fn a_cookie_is_valid_for_one_client_and_half_a_minute() {
    let jar = CookieJar::new(&[5; 32]);
    let now = Time::from_nanos(1_000_000_000);
    for addr in ["10.0.0.1:5", "[fd00::1]:5"] {
        let addr: SocketAddr = addr.parse().unwrap();
        let cookie = jar.issue(now, addr, 9);
        let mut elsewhere = addr;
        elsewhere.set_port(6);
        assert!(jar.is_valid(now, addr, 9, &cookie));
        assert!(jar.is_valid(now + Duration::from_secs(30), addr, 9, &cookie));
        assert!(!jar.is_valid(now + Duration::from_secs(31), addr, 9, &cookie));
        assert!(
            !jar.is_valid(Time::ZERO, addr, 9, &cookie),
            "from the future"
        );
        assert!(!jar.is_valid(now, elsewhere, 9, &cookie));
        assert!(!jar.is_valid(now, addr, 8, &cookie));
        assert!(!CookieJar::new(&[6; 32]).is_valid(now, addr, 9, &cookie));
        for at in 0..cookie.len() {
            let mut forged = cookie;
            forged[at] ^= 1;
            assert!(!jar.is_valid(now, addr, 9, &forged));
        }
    }
}

#[test]
fn the_same_seeds_give_the_same_handshake_and_both_sides_the_same_secrets() {
    let (alice, bob) = (
        Identity::from_secret([1; 32]),
        Identity::from_secret([2; 32]),
    );
    let seed = |byte| Zeroizing::new([byte; 32]);
    let run = || {
        let mut client = Initiator::new(&alice, &seed(3), b"hello");
        let first = client.first().to_vec();
        let mut server = Responder::new(&bob, seed(4), &first, b"welcome".to_vec()).unwrap();
        let second = server.second().to_vec();
        let (payload, key) = client.read_second(&second).unwrap();
        assert_eq!((&payload[..], key), (&b"welcome"[..], bob.public_key()));
        assert_eq!(client.refusal_echo(), server.refusal_echo());
        let completed = client.complete().unwrap();
        let mut forged = completed.handshake_finish;
        forged[60] ^= 1;
        assert!(server.read_finish(&bob, &forged).is_err());
        let (key, secrets) = server
            .read_finish(&bob, &completed.handshake_finish)
            .unwrap();
        assert_eq!(key, alice.public_key());
        assert_eq!(completed.secrets.from_client, secrets.from_client);
        assert_eq!(completed.secrets.from_server, secrets.from_server);
        assert_ne!(secrets.from_client, secrets.from_server);
        (first, second, completed.handshake_finish)
    };
    assert_eq!(run(), run());
}

#[test]
fn an_ipv4_client_is_the_same_in_both_notations() {
    let [plain, mapped]: [SocketAddr; 2] =
        ["192.0.2.1:5", "[::ffff:192.0.2.1]:5"].map(|text| text.parse().unwrap());
    let jar = CookieJar::new(&[7; 32]);
    let cookie = jar.issue(Time::ZERO, mapped, 9);
    assert!(jar.is_valid(Time::ZERO, plain, 9, &cookie));
    let identity = Identity::from_secret([1; 32]);
    let key = ResetKey::new(&identity, 3154);
    assert_eq!(key.token(9, mapped), key.token(9, plain));
    let public = identity.public_key();
    assert_eq!(Peer::new(public, mapped, true).addr, plain);
}
