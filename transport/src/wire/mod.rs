//! The wire format: headers, frames, integers.
//!
//! Pure encoding and decoding: nothing here knows a connection, a key or a clock.
//!
//! Every datagram is one packet:
//!
//! ```text
//!  0         1                 5
//! +---------+-----------------+----------------- - - -+
//! | type    | destination id  | by type               |
//! | 1 byte  | 4 bytes         |                       |
//! +---------+-----------------+----------------- - - -+
//!
//! SYN      0x31   0            source id 4, cookie? 1 (and 40), length and bytes of Noise
//!                              message 1 [parameters], zeros up to 1,192, checksum 8
//! SYN/ACK  0x32   client's id  Noise message 2 [server's id 4, token 16, parameters]
//! ACK      0x33   server's id  Noise message 3 (64), packet number, sealed frames, tag 16
//! DATA     0x34   peer's id    packet number, sealed frames, tag 16   (0x3c: odd key phase)
//! REFUSE   0x35   peer's id    echo 8, reason (varint), checksum 8
//! COOKIE   0x36   client's id  echo 8, cookie 40, checksum 8
//! STATELESS RESET
//!          0x37   server's id  token 16
//! ```
//!
//! Integers are big-endian; those called varint follow RFC 9000 §16. The high half of the
//! first byte is the version, 3. A client sends ACK packets until the server has proved that one
//! arrived; they carry frames like DATA packets, so a lost third handshake message delays nothing.
//!
//! The AEAD's tag at the end of ACK and DATA covers every byte before it: the header as
//! associated data, the frames as plaintext. Noise's own tags cover SYN/ACK. Packets sent before
//! there are keys end in a checksum. A stateless reset (RFC 9000 §10.3) is a server's answer
//! to ACK and DATA packets of an unknown connection. It is the only packet that carries the
//! sender's connection id, since the receiver's is no longer known.
//!
//! Decoding accepts any bytes and returns a value or a [`DecodeError`]; it never panics.

mod checksum;
mod frame;
mod header;
mod varint;

pub(crate) use checksum::{CHECKSUM_BYTES, digest};
pub(crate) use frame::{AckFrame, EcnCounts, Frame, Frames, encode};
pub(crate) use header::{
    COOKIE_BYTES, HANDSHAKE_FINISH_BYTES, Header, Parameters, RESET_TOKEN_BYTES,
    STATELESS_RESET_BYTES, data_header_bytes,
};
pub(crate) use varint::{Reader, put_varint, varint_len};

/// The error of a datagram that cannot be decoded.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The datagram ends inside a field.
    #[error("the datagram ends inside a field")]
    Truncated,
    /// The checksum does not match the bytes before it.
    #[error("the checksum does not match")]
    Checksum,
    /// The first byte is not a packet type of this version.
    #[error("no packet of this version starts with byte {0:#04x}")]
    UnknownPacket(u8),
    /// The frame type does not exist in this version.
    #[error("no frame of this version has type {0:#04x}")]
    UnknownFrame(u8),
    /// A field is out of its range.
    #[error("impossible value in {0}")]
    Invalid(&'static str),
}

#[cfg(test)]
mod tests;
