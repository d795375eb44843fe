//! How LFTP looks on the wire: headers, frames, integers, the checksum.
//!
//! Every datagram is one packet:
//!
//! ```text
//!  0         1                 9                17
//! +---------+-----------------+----------------- - - -+----------+
//! | kind    | destination id  | by kind               | checksum |
//! | 1 byte  | 8 bytes         |                       | 8 bytes  |
//! +---------+-----------------+----------------- - - -+----------+
//!
//! SYN      0x11   0            source id 8, nonce 8, parameters, zeros up to 1,200
//! SYN/ACK  0x12   client's id  source id 8, echoed nonce 8, nonce 8, parameters
//! ACK      0x13   server's id  echoed nonce 8, packet number, frames
//! DATA     0x14   peer's id    packet number, frames
//! REFUSE   0x15   client's id  echoed nonce 8, reason (varint)
//! ```
//!
//! Integers are big-endian; those called varint follow RFC 9000 §16. The high half of the
//! first byte is the version, 1. A client sends ACK packets until the server has proved that
//! one arrived; they carry frames like DATA packets, so a lost third message delays nothing.
//! The checksum covers every byte before it.
//!
//! Decoding takes any bytes and answers with a value or a [`DecodeError`].

mod checksum;
mod frame;
mod header;
mod varint;

pub(crate) use checksum::{CHECKSUM_BYTES, seal, unseal};
pub(crate) use frame::{AckFrame, EcnCounts, Frame, Frames, encode};
pub(crate) use header::{Header, Parameters};
pub(crate) use varint::{Reader, put_varint, varint_len};

/// Why a datagram could not be read.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The datagram ends inside a field.
    #[error("the datagram ends inside a field")]
    Truncated,
    /// The checksum does not match the bytes before it.
    #[error("the checksum does not match")]
    Checksum,
    /// The first byte names no packet of this version.
    #[error("no packet of this version begins with byte {0:#04x}")]
    UnknownPacket(u8),
    /// A frame type that this version does not have.
    #[error("no frame of this version has type {0:#04x}")]
    UnknownFrame(u8),
    /// A field holds a value that it must not hold.
    #[error("impossible value in {0}")]
    Invalid(&'static str),
}

#[cfg(test)]
mod tests;
