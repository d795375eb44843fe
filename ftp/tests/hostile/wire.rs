//! Packets and frames as `docs/PROTOCOL.md` has them (part 1), written from it alone.

use std::collections::BTreeSet;

use xxhash_rust::xxh3::xxh3_64_with_seed;

const CHECKSUM_SEED: u64 = 0x4c46_5450_0000_0002;

pub(crate) const SYN: u8 = 0x31;
pub(crate) const SYN_ACK: u8 = 0x32;
pub(crate) const ACK: u8 = 0x33;
pub(crate) const DATA: u8 = 0x34;
pub(crate) const REFUSE: u8 = 0x35;
pub(crate) const COOKIE: u8 = 0x36;
pub(crate) const LOST: u8 = 0x37;

/// The largest number that a varint holds.
pub(crate) const VARINT_MAX: u64 = (1 << 62) - 1;

pub(crate) const SYN_BYTES: usize = 1200;

pub(crate) fn put_varint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=0x3f => out.push(value as u8),
        0x40..=0x3fff => out.extend((value as u16 | 0x4000).to_be_bytes()),
        0x4000..=0x3fff_ffff => out.extend((value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend((value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

pub(crate) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

pub(crate) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let length = 1 << (bytes.first()? >> 6);
    let field = take(bytes, length)?;
    let value = field
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte));
    Some(value & (u64::MAX >> (66 - 8 * length)))
}

pub(crate) fn take_id(bytes: &mut &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(take(bytes, 4)?.try_into().ok()?))
}

/// Appends the checksum of the packets that precede the keys.
pub(crate) fn checked(mut packet: Vec<u8>) -> Vec<u8> {
    let checksum = xxh3_64_with_seed(&packet, CHECKSUM_SEED);
    packet.extend(checksum.to_be_bytes());
    packet
}

/// Replaces the checksum at the end of a changed packet.
pub(crate) fn recheck(packet: &mut Vec<u8>) {
    packet.truncate(packet.len().saturating_sub(8));
    *packet = checked(std::mem::take(packet));
}

pub(crate) fn syn(id: u32, cookie: Option<&[u8]>, noise: &[u8]) -> Vec<u8> {
    let mut syn = vec![SYN, 0, 0, 0, 0];
    syn.extend(id.to_be_bytes());
    syn.push(u8::from(cookie.is_some()));
    syn.extend(cookie.unwrap_or_default());
    put_varint(&mut syn, noise.len() as u64);
    syn.extend(noise);
    syn.resize(SYN_BYTES - 8, 0);
    checked(syn)
}

/// A packet of a type and for an id, with contents and a checksum: REFUSE and COOKIE.
pub(crate) fn answer(kind: u8, id: u32, contents: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    packet.extend(id.to_be_bytes());
    packet.extend(contents);
    checked(packet)
}

/// The four parameters of a side.
pub(crate) fn parameters(values: [u64; 4]) -> Vec<u8> {
    let mut out = Vec::new();
    values
        .into_iter()
        .for_each(|value| put_varint(&mut out, value));
    out
}

/// Parameters that any side accepts, and ChaCha20-Poly1305 as the only cipher.
pub(crate) const USUAL: [u64; 4] = [65_507, 8 << 20, 25_000, 2];

pub(crate) fn stream(offset: u64, data: &[u8], fin: bool) -> Vec<u8> {
    let mut frame = vec![if fin { 0x09 } else { 0x08 }];
    put_varint(&mut frame, offset);
    frame.extend(data);
    frame
}

/// A frame of a type and varints.
pub(crate) fn numbers(kind: u8, fields: &[u64]) -> Vec<u8> {
    let mut frame = vec![kind];
    fields
        .iter()
        .for_each(|&field| put_varint(&mut frame, field));
    frame
}

/// An ACKED frame for all numbers from 0 to `largest`.
pub(crate) fn acked(largest: u64) -> Vec<u8> {
    numbers(0x02, &[largest, 0, 0, largest])
}

/// An ACKED frame for these numbers, as many of the highest as fit.
pub(crate) fn acked_these(numbers: &BTreeSet<u64>) -> Vec<u8> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &number in numbers.iter().rev() {
        let is_full = ranges.len() == 50;
        match ranges.last_mut() {
            Some((low, _)) if number + 1 == *low => *low = number,
            _ if is_full => break,
            _ => ranges.push((number, number)),
        }
    }
    let Some(&(mut low, high)) = ranges.first() else {
        return Vec::new();
    };
    let mut frame = self::numbers(0x02, &[high, 0, ranges.len() as u64 - 1, high - low]);
    for &(next_low, next_high) in &ranges[1..] {
        put_varint(&mut frame, low - next_high - 2);
        put_varint(&mut frame, next_high - next_low);
        low = next_low;
    }
    frame
}

/// A frame of the honest side.
#[derive(Debug)]
pub(crate) enum Frame<'a> {
    Acked { largest: u64 },
    Stream { offset: u64, data: &'a [u8] },
    Reset,
    Challenge(&'a [u8]),
    Other { is_eliciting: bool },
}

/// Parses what the honest side sends. It follows the document, or the test fails.
pub(crate) fn frames(mut bytes: &[u8]) -> Option<Vec<Frame<'_>>> {
    let bytes = &mut bytes;
    let mut frames = Vec::new();
    while let Some(&[kind]) = take(bytes, 1).map(|byte| <&[u8; 1]>::try_from(byte).unwrap()) {
        frames.push(match kind {
            0x00 => Frame::Other {
                is_eliciting: false,
            },
            0x01 => Frame::Other { is_eliciting: true },
            0x02 | 0x03 => {
                let largest = take_varint(bytes)?;
                take_varint(bytes)?;
                let gaps = take_varint(bytes)?;
                let mut low = largest.checked_sub(take_varint(bytes)?)?;
                for _ in 0..gaps {
                    let high = low.checked_sub(take_varint(bytes)?)?.checked_sub(2)?;
                    low = high.checked_sub(take_varint(bytes)?)?;
                }
                if kind == 0x03 {
                    for _ in 0..3 {
                        take_varint(bytes)?;
                    }
                }
                Frame::Acked { largest }
            }
            0x04 | 0x05 => {
                take_varint(bytes)?;
                Frame::Other { is_eliciting: true }
            }
            0x06 => {
                take_varint(bytes)?;
                Frame::Reset
            }
            0x08 | 0x09 => {
                let offset = take_varint(bytes)?;
                let data = std::mem::take(bytes);
                Frame::Stream { offset, data }
            }
            0x0a => Frame::Challenge(take(bytes, 8)?),
            0x0b => {
                take(bytes, 8)?;
                Frame::Other {
                    is_eliciting: false,
                }
            }
            _ => return None,
        });
    }
    Some(frames)
}
