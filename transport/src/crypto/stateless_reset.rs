//! Stateless resets (RFC 9000 §10.3): a server that has lost a connection, in a crash for instance,
//! can still tell the client, and an attacker cannot.
//!
//! The server sends every client a token in its SYN/ACK: an HMAC-SHA-256 over the connection id and
//! the client's address, under a key derived from the server's secret key and its port. A restarted
//! server computes the same token from a packet of a connection that it does not know. It sends a
//! token for such packets only, and only to the address they came from. So the token of a live
//! connection is never disclosed, neither to another address nor by another port of the server (the
//! oracle of RFC 9000 §21.11). A client that has moved meanwhile does not recognize its token, and
//! waits for its idle timeout.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::hmac;

use super::Identity;
use crate::wire::RESET_TOKEN_BYTES;

/// The proof that the server has lost a connection.
pub(crate) type ResetToken = [u8; RESET_TOKEN_BYTES];

/// Derives the tokens of one listening port.
pub(crate) struct ResetKey {
    key: hmac::Key,
}

impl fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResetKey").finish_non_exhaustive()
    }
}

impl ResetKey {
    pub(crate) fn new(identity: &Identity, port: u16) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, identity.secret());
        let mut context = hmac::Context::with_key(&secret);
        context.update(b"LFTP stateless reset");
        context.update(&port.to_be_bytes());
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, context.sign().as_ref()),
        }
    }

    /// The token of connection `id` with a client at `remote`.
    pub(crate) fn token(&self, id: u32, remote: SocketAddr) -> ResetToken {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&id.to_be_bytes());
        context.update(&remote.port().to_be_bytes());
        match remote.ip().to_canonical() {
            IpAddr::V4(ip) => context.update(&ip.octets()),
            IpAddr::V6(ip) => context.update(&ip.octets()),
        }
        let mut token = [0; RESET_TOKEN_BYTES];
        token.copy_from_slice(&context.sign().as_ref()[..RESET_TOKEN_BYTES]);
        token
    }
}

/// Compares two tokens in constant time.
pub(crate) fn is_same(one: &ResetToken, other: &ResetToken) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_key_port_connection_and_address() {
        let token = |secret: u8, port, id, remote: &str| {
            let key = ResetKey::new(&Identity::from_secret([secret; 32]), port);
            key.token(id, remote.parse().unwrap())
        };
        let first = token(1, 3154, 7, "10.0.0.1:5000");
        assert!(is_same(&first, &token(1, 3154, 7, "10.0.0.1:5000")));
        for other in [
            token(2, 3154, 7, "10.0.0.1:5000"),
            token(1, 9000, 7, "10.0.0.1:5000"),
            token(1, 3154, 8, "10.0.0.1:5000"),
            token(1, 3154, 7, "10.0.0.2:5000"),
            token(1, 3154, 7, "10.0.0.1:5001"),
            token(1, 3154, 7, "[2001:db8::1]:5000"),
        ] {
            assert!(!is_same(&first, &other));
        }
    }
}
