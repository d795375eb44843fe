//! A cookie proves that a client receives at the address it sends from, and the server keeps
//! nothing meanwhile (RFC 6347 §4.2.1, RFC 9000 §8.1.2).
//!
//! It is the time it was made, and an HMAC-SHA-256 over that, the address and the client's
//! connection id, under a key that only the endpoint has.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::hmac;

use crate::Time;
use crate::wire::COOKIE_BYTES;

/// How long a cookie is good for. A client's SYNs go on for about 39 s by default; one that
/// comes too late is given another cookie.
const LIFETIME: Duration = Duration::from_secs(30);

const TIME_BYTES: usize = 8;

/// Makes cookies and knows them again.
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

    /// A cookie for the client that calls itself `source` at `remote`.
    pub(crate) fn make(&self, now: Time, remote: SocketAddr, source: u32) -> [u8; COOKIE_BYTES] {
        let mut cookie = [0; COOKIE_BYTES];
        let (time, authenticator) = cookie.split_at_mut(TIME_BYTES);
        time.copy_from_slice(&now.as_nanos().to_be_bytes());
        let (text, len) = text(now.as_nanos(), remote, source);
        let tag = hmac::sign(&self.key, &text[..len]);
        authenticator.copy_from_slice(tag.as_ref());
        cookie
    }

    /// Whether this cookie was made here, for this client, not long ago.
    pub(crate) fn is_good(
        &self,
        now: Time,
        remote: SocketAddr,
        source: u32,
        cookie: &[u8; COOKIE_BYTES],
    ) -> bool {
        let (time, authenticator) = cookie.split_at(TIME_BYTES);
        let made_ns = time
            .iter()
            .fold(0, |value, &byte| value << 8 | u64::from(byte));
        let age = now.saturating_since(Time::from_nanos(made_ns));
        let (text, len) = text(made_ns, remote, source);
        made_ns <= now.as_nanos()
            && age <= LIFETIME
            && hmac::verify(&self.key, &text[..len], authenticator).is_ok()
    }
}

/// What the authenticator covers: time, port, id, address (4 or 16 bytes).
fn text(made_ns: u64, remote: SocketAddr, source: u32) -> ([u8; 30], usize) {
    let mut text = [0; 30];
    text[..8].copy_from_slice(&made_ns.to_be_bytes());
    text[8..10].copy_from_slice(&remote.port().to_be_bytes());
    text[10..14].copy_from_slice(&source.to_be_bytes());
    match remote {
        SocketAddr::V4(v4) => {
            text[14..18].copy_from_slice(&v4.ip().octets());
            (text, 18)
        }
        SocketAddr::V6(v6) => {
            text[14..30].copy_from_slice(&v6.ip().octets());
            (text, 30)
        }
    }
}
