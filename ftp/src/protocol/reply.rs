//! Replies: what was requested, or a refusal.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::code::Code;
use super::framing::{MessageError, decode, encode};
use super::peer_text::PeerText;

/// What was requested, or a refusal.
pub type Reply<T> = Result<T, Refusal>;

/// Reason why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// Code, for programs.
    pub code: Code,
    /// Message, for people.
    pub reason: PeerText,
}

impl Refusal {
    /// Creates a refusal.
    pub fn new(code: Code, reason: impl Into<PeerText>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// Encodes a reply: its `status` and the fields of its contents.
///
/// # Errors
///
/// As [`encode`].
pub fn encode_reply<T: Serialize>(reply: &Reply<T>) -> Result<Bytes, MessageError> {
    #[derive(Serialize)]
    struct Tagged<'a, T> {
        status: bool,
        #[serde(flatten)]
        body: &'a T,
    }
    match reply {
        Ok(body) => encode(&Tagged { status: true, body }),
        Err(body) => encode(&Tagged {
            status: false,
            body,
        }),
    }
}

/// Decodes the JSON of a reply.
///
/// # Errors
///
/// [`MessageError::Malformed`].
pub fn decode_reply<T: DeserializeOwned>(body: &[u8]) -> Result<Reply<T>, MessageError> {
    #[derive(Deserialize)]
    struct Status {
        status: bool,
    }
    if decode::<Status>(body)?.status {
        return decode(body).map(Ok);
    }
    decode(body).map(Err)
}
