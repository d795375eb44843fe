//! The frame of a message: JSON behind its length.
//!
//! ```text
//! +--------+--------+--------+--------+----------------- ... -+
//! |  length of the JSON, big-endian   |  JSON, UTF-8          |
//! +--------+--------+--------+--------+----------------- ... -+
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::peer_text::PeerText;

/// Version of the protocol, in every [`Hello`](super::Hello).
pub const VERSION: u32 = 3;

/// Longest message, in bytes of JSON.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// Bytes of the length before a message.
pub const LENGTH_BYTES: usize = 4;

/// Failure to encode or decode a message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The message is longer than [`MAX_MESSAGE_BYTES`].
    #[error("a message of {bytes} bytes is longer than {MAX_MESSAGE_BYTES}")]
    TooLong {
        /// Length of the message.
        bytes: usize,
    },
    /// The message is not the expected JSON.
    #[error("a message is malformed: {}", malformed(.0))]
    Malformed(#[from] serde_json::Error),
    /// The message is well formed, and invalid at this point.
    #[error("a message is out of place: {0}")]
    OutOfPlace(&'static str),
    /// The peer uses another version.
    #[error("the peer uses version {version} of the protocol, this side {VERSION}")]
    Version {
        /// The peer's version.
        version: u32,
    },
}

/// Encodes a message, length included.
///
/// # Errors
///
/// [`MessageError::TooLong`].
pub fn encode<T: Serialize>(message: &T) -> Result<Bytes, MessageError> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    if body.len() > MAX_MESSAGE_BYTES {
        return Err(MessageError::TooLong { bytes: body.len() });
    }
    let mut framed = BytesMut::with_capacity(LENGTH_BYTES + body.len());
    framed.put_u32(length);
    framed.put_slice(&body);
    Ok(framed.freeze())
}

/// Parses the length of a message: bytes of JSON that follow.
///
/// # Errors
///
/// [`MessageError::TooLong`] when more than [`MAX_MESSAGE_BYTES`].
pub fn body_bytes(length: [u8; LENGTH_BYTES]) -> Result<usize, MessageError> {
    let bytes = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if bytes > MAX_MESSAGE_BYTES {
        Err(MessageError::TooLong { bytes })
    } else {
        Ok(bytes)
    }
}

/// Decodes the JSON of a message. Fields that this version does not know are ignored.
///
/// # Errors
///
/// [`MessageError::Malformed`].
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, MessageError> {
    Ok(serde_json::from_slice(body)?)
}

/// Describes what is wrong with the JSON, in which the parser repeats what the peer has written.
fn malformed(error: &serde_json::Error) -> PeerText {
    error.to_string().into()
}
