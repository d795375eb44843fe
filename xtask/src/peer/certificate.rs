//! The identity of the server, for peers that use TLS.
//!
//! Self-signed, valid for a hundred years, for nothing but these runs. Ed25519: its signatures
//! are of one size, so handshakes are.

/// The name in the certificate.
pub(crate) const SERVER_NAME: &str = "peer";

/// The certificate, in DER.
pub(crate) const CERTIFICATE: &[u8] = include_bytes!("certificate.der");

/// Its key, in DER, PKCS #8.
pub(crate) const KEY: &[u8] = include_bytes!("key.der");
