//! The checksum at the end of the packets that no key covers yet: XXH3-64 over every byte
//! before it.
//!
//! SYN, REFUSE and COOKIE come before there are keys. UDP's own 16 bits let one corrupted
//! datagram in 65,536 through, and some paths carry none; eight bytes make it one in 2⁶⁴. It
//! is no protection against somebody who forges datagrams.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::DecodeError;

/// Bytes the checksum takes.
pub(crate) const CHECKSUM_BYTES: usize = 8;

/// Keeps datagrams of other protocols that end in an XXH3 apart: "LFTP" and the version.
const SEED: u64 = 0x4c46_5450_0000_0002;

/// Appends the checksum of `out[start..]`.
pub(super) fn seal_checksum(out: &mut Vec<u8>, start: usize) {
    let sum = xxh3_64_with_seed(&out[start..], SEED);
    out.extend_from_slice(&sum.to_be_bytes());
}

/// The bytes before a matching checksum.
pub(super) fn verify_checksum(datagram: &[u8]) -> Result<&[u8], DecodeError> {
    let Some((body, sum)) = datagram.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(DecodeError::Truncated);
    };
    if xxh3_64_with_seed(body, SEED) != u64::from_be_bytes(*sum) {
        return Err(DecodeError::Checksum);
    }
    Ok(body)
}

/// A short name for bytes that a peer sent, to find them again.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, SEED)
}
