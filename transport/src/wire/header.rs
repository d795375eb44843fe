//! Packet headers, and the parameters that the handshake carries.

use super::checksum::{seal_checksum, verify_checksum};
use super::{DecodeError, Reader, put_varint, varint_len};

const SYN: u8 = 0x31;
const SYN_ACK: u8 = 0x32;
const ACK: u8 = 0x33;
const DATA: u8 = 0x34;
const REFUSE: u8 = 0x35;
const COOKIE: u8 = 0x36;
const STATELESS_RESET: u8 = 0x37;
/// A DATA packet of an odd key phase.
const DATA_PHASE_1: u8 = 0x3c;

/// Size of every SYN, by padding, so that an answer to an unvalidated address stays within the
/// anti-amplification limit (RFC 9000 §8.1, §14.1).
pub(crate) const SYN_BYTES: usize = 1200;

/// Length of the third Noise message: an encrypted key and the tag of an empty payload.
pub(crate) const HANDSHAKE_FINISH_BYTES: usize = 64;

/// Length of a cookie: a time and its authenticator.
pub(crate) const COOKIE_BYTES: usize = 40;

/// Length of a stateless reset's token (RFC 9000 §10.3).
pub(crate) const RESET_TOKEN_BYTES: usize = 16;

/// Length of a stateless reset.
pub(crate) const STATELESS_RESET_BYTES: usize = 1 + 4 + RESET_TOKEN_BYTES;

/// The transport parameters that the handshake carries.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// The largest datagram this side accepts, in bytes of UDP payload.
    pub(crate) max_datagram_bytes: u64,
    /// The initial receive window: the first stream offset that may not be sent yet.
    pub(crate) initial_rwnd: u64,
    /// The longest delay of this side's acknowledgements, in microseconds.
    pub(crate) max_ack_delay_us: u64,
    /// The offered ciphers, one bit each; in the answer, the chosen one.
    pub(crate) ciphers: u64,
}

/// The header of a packet. [`Header::Ack`] and [`Header::Data`] are followed by encrypted frames.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Header<'a> {
    Syn {
        source: u32,
        cookie: Option<&'a [u8; COOKIE_BYTES]>,
        noise: &'a [u8],
    },
    SynAck {
        destination: u32,
        noise: &'a [u8],
    },
    Ack {
        destination: u32,
        handshake_finish: &'a [u8; HANDSHAKE_FINISH_BYTES],
        packet_number: u64,
    },
    Data {
        destination: u32,
        phase: bool,
        packet_number: u64,
    },
    Refuse {
        destination: u32,
        echo: u64,
        reason: u64,
    },
    Cookie {
        destination: u32,
        echo: u64,
        cookie: &'a [u8; COOKIE_BYTES],
    },
    StatelessReset {
        /// The server's connection id.
        source: u32,
        token: &'a [u8; RESET_TOKEN_BYTES],
    },
}

impl<'a> Header<'a> {
    /// Appends the header, which is the whole datagram of packets without frames.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        match *self {
            Self::Syn {
                source,
                cookie,
                noise,
            } => {
                put_prefix(out, SYN, 0);
                out.extend_from_slice(&source.to_be_bytes());
                out.push(u8::from(cookie.is_some()));
                out.extend_from_slice(cookie.map_or(&[][..], |cookie| &cookie[..]));
                put_varint(out, noise.len() as u64);
                out.extend_from_slice(noise);
                out.resize(start + SYN_BYTES - super::CHECKSUM_BYTES, 0);
                seal_checksum(out, start);
            }
            Self::SynAck { destination, noise } => {
                put_prefix(out, SYN_ACK, destination);
                out.extend_from_slice(noise);
            }
            Self::Ack {
                destination,
                handshake_finish,
                packet_number,
            } => {
                put_prefix(out, ACK, destination);
                out.extend_from_slice(handshake_finish);
                put_varint(out, packet_number);
            }
            Self::Data {
                destination,
                phase,
                packet_number,
            } => {
                put_prefix(out, if phase { DATA_PHASE_1 } else { DATA }, destination);
                put_varint(out, packet_number);
            }
            Self::Refuse {
                destination,
                echo,
                reason,
            } => {
                put_prefix(out, REFUSE, destination);
                out.extend_from_slice(&echo.to_be_bytes());
                put_varint(out, reason);
                seal_checksum(out, start);
            }
            Self::Cookie {
                destination,
                echo,
                cookie,
            } => {
                put_prefix(out, COOKIE, destination);
                out.extend_from_slice(&echo.to_be_bytes());
                out.extend_from_slice(cookie);
                seal_checksum(out, start);
            }
            Self::StatelessReset { source, token } => {
                put_prefix(out, STATELESS_RESET, source);
                out.extend_from_slice(token);
            }
        }
    }

    /// Decodes the header of a datagram; returns it and its length.
    pub(crate) fn decode(datagram: &'a [u8]) -> Result<(Self, usize), DecodeError> {
        let mut reader = Reader::new(datagram);
        let kind = reader.u8()?;
        let destination = reader.u32()?;
        let header = match kind {
            DATA | DATA_PHASE_1 => {
                let packet_number = reader.varint()?;
                let phase = kind == DATA_PHASE_1;
                Self::Data {
                    destination,
                    phase,
                    packet_number,
                }
            }
            ACK => Self::Ack {
                destination,
                handshake_finish: reader.array()?,
                packet_number: reader.varint()?,
            },
            SYN_ACK => Self::SynAck {
                destination,
                noise: reader.bytes(reader.rest().len())?,
            },
            STATELESS_RESET => Self::StatelessReset {
                source: destination,
                token: reader.array()?,
            },
            // The checksum is verified before any field is used.
            SYN | REFUSE | COOKIE => {
                let mut body = Reader::new(verify_checksum(datagram)?);
                body.bytes(1 + 4)?;
                reader = Reader::new(&[]);
                match kind {
                    SYN => decode_syn(&mut body, datagram.len())?,
                    REFUSE => Self::Refuse {
                        destination,
                        echo: body.u64()?,
                        reason: body.varint()?,
                    },
                    _ => Self::Cookie {
                        destination,
                        echo: body.u64()?,
                        cookie: body.array()?,
                    },
                }
            }
            other => return Err(DecodeError::UnknownPacket(other)),
        };
        Ok((header, datagram.len() - reader.rest().len()))
    }
}

fn decode_syn<'a>(body: &mut Reader<'a>, bytes: usize) -> Result<Header<'a>, DecodeError> {
    if bytes < SYN_BYTES {
        return Err(DecodeError::Invalid("the length of a SYN"));
    }
    let source = body.u32()?;
    let cookie = match body.u8()? {
        0 => None,
        _ => Some(body.array()?),
    };
    let len = body.varint()?;
    let len = usize::try_from(len).map_err(|_| DecodeError::Truncated)?;
    Ok(Header::Syn {
        source,
        cookie,
        noise: body.bytes(len)?,
    })
}

fn put_prefix(out: &mut Vec<u8>, kind: u8, destination: u32) {
    out.push(kind);
    out.extend_from_slice(&destination.to_be_bytes());
}

impl Parameters {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.max_datagram_bytes);
        put_varint(out, self.initial_rwnd);
        put_varint(out, self.max_ack_delay_us);
        put_varint(out, self.ciphers);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let max_datagram_bytes = reader.varint()?;
        if !(576..=65_507).contains(&max_datagram_bytes) {
            return Err(DecodeError::Invalid("max_datagram_bytes"));
        }
        let initial_rwnd = reader.varint()?;
        let max_ack_delay_us = reader.varint()?;
        if max_ack_delay_us > 10_000_000 {
            return Err(DecodeError::Invalid("max_ack_delay_us"));
        }
        let ciphers = reader.varint()?;
        Ok(Self {
            max_datagram_bytes,
            initial_rwnd,
            max_ack_delay_us,
            ciphers,
        })
    }
}

/// Length of a DATA packet's header.
pub(crate) const fn data_header_bytes(packet_number: u64) -> usize {
    1 + 4 + varint_len(packet_number)
}
