//! Cookies: proof that a client receives at the address it sends from, without any state at the
//! server (RFC 6347 §4.2.1, RFC 9000 §8.1.2).
//!
//! A cookie is its time of creation and an HMAC-SHA-256 over that time, the address and the client's
//! connection id, under a key known to the endpoint alone.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aws_lc_rs::hmac;

use crate::Time;
use crate::wire::COOKIE_BYTES;

/// Validity of a cookie. A client retransmits its SYN for about 39 s by default; one that comes too
/// late is sent another cookie.
const LIFETIME: Duration = Duration::from_secs(30);

const TIME_BYTES: usize = 8;

/// Issues and verifies cookies.
pub(crate) struct CookieJar {
    key: hmac::Key,
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieJar").finish_non_exhaustive()
    }
}

impl CookieJar {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    /// Issues a cookie to the client at `remote` with the connection id `source`.
    pub(crate) fn issue(&self, now: Time, remote: SocketAddr, source: u32) -> [u8; COOKIE_BYTES] {
        let mut cookie = [0; COOKIE_BYTES];
        let (time, authenticator) = cookie.split_at_mut(TIME_BYTES);
        time.copy_from_slice(&now.as_nanos().to_be_bytes());
        let (text, len) = text(now.as_nanos(), remote, source);
        let tag = hmac::sign(&self.key, &text[..len]);
        authenticator.copy_from_slice(tag.as_ref());
        cookie
    }

    /// Returns `true` for an unexpired cookie that was issued here to this client.
    pub(crate) fn is_valid(
        &self,
        now: Time,
        remote: SocketAddr,
        source: u32,
        cookie: &[u8; COOKIE_BYTES],
    ) -> bool {
        let (time, authenticator) = cookie.split_at(TIME_BYTES);
        let issued_ns = time
            .iter()
            .fold(0, |value, &byte| value << 8 | u64::from(byte));
        let age = now.saturating_since(Time::from_nanos(issued_ns));
        let (text, len) = text(issued_ns, remote, source);
        issued_ns <= now.as_nanos()
            && age <= LIFETIME
            && hmac::verify(&self.key, &text[..len], authenticator).is_ok()
    }
}

/// The authenticated bytes: time, port, id, address (4 or 16 bytes).
fn text(issued_ns: u64, remote: SocketAddr, source: u32) -> ([u8; 30], usize) {
    let mut text = [0; 30];
    text[..8].copy_from_slice(&issued_ns.to_be_bytes());
    text[8..10].copy_from_slice(&remote.port().to_be_bytes());
    text[10..14].copy_from_slice(&source.to_be_bytes());
    // However the socket writes it: a server may issue a cookie on one and check it on another.
    match remote.ip().to_canonical() {
        IpAddr::V4(v4) => {
            text[14..18].copy_from_slice(&v4.octets());
            (text, 18)
        }
        IpAddr::V6(v6) => {
            text[14..30].copy_from_slice(&v6.octets());
            (text, 30)
        }
    }
}
