//! Frames: the contents of ACK and DATA packets.
//!
//! ```text
//! PADDING     0x00
//! PING        0x01
//! ACKED       0x02  largest, delay in µs, gaps, first run, (gap, run)*       (RFC 9000 §19.3)
//! ACKED+ECN   0x03  the same, then counts of ECT(0), ECT(1), CE
//! RWND        0x04  first offset that may not be sent yet
//! RWND_CHECK  0x05  the offset at which the sender is blocked
//! RESET       0x06  reason
//! STREAM      0x08  offset, bytes up to the end of the packet
//! STREAM+FIN  0x09  the same, and no byte follows
//! CHALLENGE   0x0a  8 bytes, to an address to be validated                  (RFC 9000 §8.2)
//! RESPONSE    0x0b  the same 8 bytes
//! ```
//!
//! Numbers are varints. A run of `n` covers `n + 1` packet numbers, as in QUIC.

use std::ops::RangeInclusive;

use super::varint::VARINT_MAX;
use super::{DecodeError, Reader, put_varint};

const PADDING: u8 = 0x00;
const PING: u8 = 0x01;
const ACKED: u8 = 0x02;
const ACKED_ECN: u8 = 0x03;
const RWND: u8 = 0x04;
const RWND_CHECK: u8 = 0x05;
const RESET: u8 = 0x06;
const STREAM: u8 = 0x08;
const STREAM_FIN: u8 = 0x09;
const CHALLENGE: u8 = 0x0a;
const RESPONSE: u8 = 0x0b;

/// Packets received with each ECN codepoint (RFC 9000 §13.4).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EcnCounts {
    pub(crate) ect0: u64,
    pub(crate) ect1: u64,
    pub(crate) ce: u64,
}

/// One frame, borrowed from the datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Ping,
    Acked(AckFrame<'a>),
    Rwnd {
        max_offset: u64,
    },
    RwndCheck {
        offset: u64,
    },
    Reset {
        reason: u32,
    },
    Stream {
        offset: u64,
        data: &'a [u8],
        fin: bool,
    },
    Challenge {
        token: u64,
    },
    Response {
        token: u64,
    },
}

/// Ranges of received packet numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AckFrame<'a> {
    pub(crate) largest: u64,
    pub(crate) delay_us: u64,
    pub(crate) ecn: Option<EcnCounts>,
    first_run: u64,
    /// The (gap, run) pairs, validated when the frame was decoded.
    pairs: &'a [u8],
}

impl AckFrame<'_> {
    /// The ranges, highest first.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        let mut reader = Reader::new(self.pairs);
        let mut next = Some(self.largest.saturating_sub(self.first_run)..=self.largest);
        std::iter::from_fn(move || {
            let range = next.take()?;
            if let (Ok(gap), Ok(run)) = (reader.varint(), reader.varint()) {
                let high = range.start().saturating_sub(gap + 2);
                next = Some(high.saturating_sub(run)..=high);
            }
            Some(range)
        })
    }
}

/// Iterator over the frames of a packet; ends after the first error.
#[derive(Clone, Debug)]
pub(crate) struct Frames<'a> {
    reader: Reader<'a>,
}

impl<'a> Frames<'a> {
    pub(crate) const fn new(reader: Reader<'a>) -> Self {
        Self { reader }
    }

    fn decode(&mut self, kind: u8) -> Result<Frame<'a>, DecodeError> {
        let reader = &mut self.reader;
        Ok(match kind {
            PING => Frame::Ping,
            ACKED | ACKED_ECN => Frame::Acked(decode_ack(reader, kind == ACKED_ECN)?),
            RWND => Frame::Rwnd {
                max_offset: reader.varint()?,
            },
            RWND_CHECK => Frame::RwndCheck {
                offset: reader.varint()?,
            },
            RESET => Frame::Reset {
                reason: u32::try_from(reader.varint()?)
                    .map_err(|_| DecodeError::Invalid("the reason of a RESET"))?,
            },
            STREAM | STREAM_FIN => {
                let offset = reader.varint()?;
                let data = reader.bytes(reader.rest().len())?;
                if offset + data.len() as u64 > VARINT_MAX {
                    return Err(DecodeError::Invalid("the offset of a STREAM"));
                }
                Frame::Stream {
                    offset,
                    data,
                    fin: kind == STREAM_FIN,
                }
            }
            CHALLENGE => Frame::Challenge {
                token: reader.u64()?,
            },
            RESPONSE => Frame::Response {
                token: reader.u64()?,
            },
            other => return Err(DecodeError::UnknownFrame(other)),
        })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let kind = self.reader.u8().ok()?;
            if kind == PADDING {
                continue;
            }
            let frame = self.decode(kind);
            if frame.is_err() {
                self.reader = Reader::new(&[]);
            }
            return Some(frame);
        }
    }
}

fn decode_ack<'a>(reader: &mut Reader<'a>, with_ecn: bool) -> Result<AckFrame<'a>, DecodeError> {
    const BELOW_ZERO: DecodeError = DecodeError::Invalid("a range below packet number 0");
    let largest = reader.varint()?;
    let delay_us = reader.varint()?;
    let gaps = reader.varint()?;
    let first_run = reader.varint()?;
    let mut low = largest.checked_sub(first_run).ok_or(BELOW_ZERO)?;
    let before = reader.rest();
    for _ in 0..gaps {
        let high = low.checked_sub(reader.varint()? + 2).ok_or(BELOW_ZERO)?;
        low = high.checked_sub(reader.varint()?).ok_or(BELOW_ZERO)?;
    }
    let pairs = &before[..before.len() - reader.rest().len()];
    let ecn = if with_ecn {
        Some(EcnCounts {
            ect0: reader.varint()?,
            ect1: reader.varint()?,
            ce: reader.varint()?,
        })
    } else {
        None
    };
    Ok(AckFrame {
        largest,
        delay_us,
        ecn,
        first_run,
        pairs,
    })
}

/// Appends frames to a packet under construction.
pub(crate) mod encode {
    use std::ops::Range;

    use super::super::varint_len;
    use super::*;

    /// Length of a STREAM frame's header, bytes.
    pub(crate) const fn stream_overhead(offset: u64) -> usize {
        1 + varint_len(offset)
    }

    /// Appends the header of a STREAM frame; its bytes follow and end the packet.
    pub(crate) fn stream(out: &mut Vec<u8>, offset: u64, fin: bool) {
        out.push(if fin { STREAM_FIN } else { STREAM });
        put_varint(out, offset);
    }

    pub(crate) fn ping(out: &mut Vec<u8>) {
        out.push(PING);
    }

    pub(crate) fn rwnd(out: &mut Vec<u8>, max_offset: u64) {
        out.push(RWND);
        put_varint(out, max_offset);
    }

    pub(crate) fn challenge(out: &mut Vec<u8>, token: u64) {
        out.push(CHALLENGE);
        out.extend_from_slice(&token.to_be_bytes());
    }

    pub(crate) fn response(out: &mut Vec<u8>, token: u64) {
        out.push(RESPONSE);
        out.extend_from_slice(&token.to_be_bytes());
    }

    pub(crate) fn rwnd_check(out: &mut Vec<u8>, offset: u64) {
        out.push(RWND_CHECK);
        put_varint(out, offset);
    }

    pub(crate) fn reset(out: &mut Vec<u8>, reason: u32) {
        out.push(RESET);
        put_varint(out, u64::from(reason));
    }

    /// Appends an ACKED frame of `ranges` (half-open, highest first) in at most `space` bytes. The
    /// lowest ranges are left out where they do not fit; nothing is written when not even one does.
    pub(crate) fn acked(
        out: &mut Vec<u8>,
        ranges: impl Iterator<Item = Range<u64>> + Clone,
        delay_us: u64,
        ecn: Option<EcnCounts>,
        space: usize,
    ) {
        let mut rest = ranges.clone();
        let Some(first) = rest.next() else { return };
        let largest = first.end - 1;
        let ecn_bytes = ecn.map_or(0, |e| {
            varint_len(e.ect0) + varint_len(e.ect1) + varint_len(e.ce)
        });
        // The count of gaps precedes them, when it is not yet known how many fit: reserve the two
        // bytes of the largest count.
        let mut used = 1 + varint_len(largest) + varint_len(delay_us) + 2;
        used += varint_len(first.end - first.start - 1) + ecn_bytes;
        if used > space {
            return;
        }
        let mut gaps = 0;
        let mut low = first.start;
        for range in rest {
            used += varint_len(low - range.end - 1) + varint_len(range.end - range.start - 1);
            if used > space || gaps == 0x3fff {
                break;
            }
            low = range.start;
            gaps += 1;
        }
        out.push(if ecn.is_some() { ACKED_ECN } else { ACKED });
        put_varint(out, largest);
        put_varint(out, delay_us);
        put_varint(out, gaps);
        put_varint(out, first.end - first.start - 1);
        let mut low = first.start;
        for range in ranges.skip(1).take(gaps as usize) {
            put_varint(out, low - range.end - 1);
            put_varint(out, range.end - range.start - 1);
            low = range.start;
        }
        if let Some(counts) = ecn {
            put_varint(out, counts.ect0);
            put_varint(out, counts.ect1);
            put_varint(out, counts.ce);
        }
    }
}
