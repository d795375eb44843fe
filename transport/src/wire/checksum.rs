//! The checksum at the end of packets without an authentication tag: XXH3-64 over every byte before
//! it.
//!
//! SYN, REFUSE and COOKIE are sent before there are keys. UDP's own 16 bits let one corrupted
//! datagram in 65,536 through, and some paths use none; eight bytes make it one in 2⁶⁴. It does not
//! protect against forged datagrams.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::DecodeError;

/// Length of the checksum, bytes.
pub(crate) const CHECKSUM_BYTES: usize = 8;

/// Domain separation from other protocols that end in an XXH3: "LFTP" and a version.
const SEED: u64 = 0x4c46_5450_0000_0002;

/// Appends the checksum of `out[start..]`.
pub(super) fn seal_checksum(out: &mut Vec<u8>, start: usize) {
    let sum = xxh3_64_with_seed(&out[start..], SEED);
    out.extend_from_slice(&sum.to_be_bytes());
}

/// Returns the bytes before the checksum.
///
/// # Errors
///
/// [`DecodeError::Checksum`] when it does not match.
pub(super) fn verify_checksum(datagram: &[u8]) -> Result<&[u8], DecodeError> {
    let Some((body, sum)) = datagram.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(DecodeError::Truncated);
    };
    if xxh3_64_with_seed(body, SEED) != u64::from_be_bytes(*sum) {
        return Err(DecodeError::Checksum);
    }
    Ok(body)
}

/// A short digest of a peer's bytes, to recognize a retransmission.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, SEED)
}
