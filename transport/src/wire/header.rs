//! Packet headers, and the parameters that SYN and SYN/ACK carry.

use super::{DecodeError, Reader, put_varint};

const SYN: u8 = 0x11;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x13;
const DATA: u8 = 0x14;
const REFUSE: u8 = 0x15;

/// Every SYN is padded to this size, so that an answer never exceeds what an unproved
/// address sent by more than the usual factor (RFC 9000 §8.1, §14.1).
pub(crate) const SYN_BYTES: usize = 1200;

/// What a side tells the other at the start.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// The largest datagram this side takes, in bytes of UDP payload.
    pub(crate) max_datagram_bytes: u64,
    /// The first offset that may not be sent to this side yet.
    pub(crate) initial_rwnd: u64,
    /// The longest this side holds an acknowledgement back, in microseconds.
    pub(crate) max_ack_delay_us: u64,
}

/// The front of a packet. For [`Header::Ack`] and [`Header::Data`] frames follow.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    Syn {
        source: u64,
        nonce: u64,
        parameters: Parameters,
    },
    SynAck {
        destination: u64,
        source: u64,
        echo: u64,
        nonce: u64,
        parameters: Parameters,
    },
    Ack {
        destination: u64,
        echo: u64,
        packet_number: u64,
    },
    Data {
        destination: u64,
        packet_number: u64,
    },
    Refuse {
        destination: u64,
        echo: u64,
        reason: u64,
    },
}

impl Header {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        match *self {
            Self::Syn {
                source,
                nonce,
                parameters,
            } => {
                put_front(out, SYN, 0);
                out.extend_from_slice(&source.to_be_bytes());
                out.extend_from_slice(&nonce.to_be_bytes());
                parameters.encode(out);
                out.resize(start + SYN_BYTES - super::CHECKSUM_BYTES, 0);
            }
            Self::SynAck {
                destination,
                source,
                echo,
                nonce,
                parameters,
            } => {
                put_front(out, SYN_ACK, destination);
                out.extend_from_slice(&source.to_be_bytes());
                out.extend_from_slice(&echo.to_be_bytes());
                out.extend_from_slice(&nonce.to_be_bytes());
                parameters.encode(out);
            }
            Self::Ack {
                destination,
                echo,
                packet_number,
            } => {
                put_front(out, ACK, destination);
                out.extend_from_slice(&echo.to_be_bytes());
                put_varint(out, packet_number);
            }
            Self::Data {
                destination,
                packet_number,
            } => {
                put_front(out, DATA, destination);
                put_varint(out, packet_number);
            }
            Self::Refuse {
                destination,
                echo,
                reason,
            } => {
                put_front(out, REFUSE, destination);
                out.extend_from_slice(&echo.to_be_bytes());
                put_varint(out, reason);
            }
        }
    }

    /// Reads a header off the front of `reader`; frames are what is left.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = reader.u8()?;
        let destination = reader.u64()?;
        Ok(match kind {
            SYN => {
                if reader.rest().len() + 9 + super::CHECKSUM_BYTES < SYN_BYTES {
                    return Err(DecodeError::Invalid("the length of a SYN"));
                }
                Self::Syn {
                    source: reader.u64()?,
                    nonce: reader.u64()?,
                    parameters: Parameters::decode(reader)?,
                }
            }
            SYN_ACK => Self::SynAck {
                destination,
                source: reader.u64()?,
                echo: reader.u64()?,
                nonce: reader.u64()?,
                parameters: Parameters::decode(reader)?,
            },
            ACK => Self::Ack {
                destination,
                echo: reader.u64()?,
                packet_number: reader.varint()?,
            },
            DATA => Self::Data {
                destination,
                packet_number: reader.varint()?,
            },
            REFUSE => Self::Refuse {
                destination,
                echo: reader.u64()?,
                reason: reader.varint()?,
            },
            other => return Err(DecodeError::UnknownPacket(other)),
        })
    }
}

fn put_front(out: &mut Vec<u8>, kind: u8, destination: u64) {
    out.push(kind);
    out.extend_from_slice(&destination.to_be_bytes());
}

impl Parameters {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.max_datagram_bytes);
        put_varint(out, self.initial_rwnd);
        put_varint(out, self.max_ack_delay_us);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let max_datagram_bytes = reader.varint()?;
        if !(576..=65_507).contains(&max_datagram_bytes) {
            return Err(DecodeError::Invalid("max_datagram_bytes"));
        }
        let initial_rwnd = reader.varint()?;
        let max_ack_delay_us = reader.varint()?;
        if max_ack_delay_us > 10_000_000 {
            return Err(DecodeError::Invalid("max_ack_delay_us"));
        }
        Ok(Self {
            max_datagram_bytes,
            initial_rwnd,
            max_ack_delay_us,
        })
    }
}
