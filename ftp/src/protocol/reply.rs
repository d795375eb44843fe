//! Replies: what was asked for, or why not.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::code::Code;
use super::framing::{MessageError, decode, encode, printable};

/// The longest reason that is kept of a peer's refusal, in characters.
const MAX_REASON_CHARS: usize = 500;

/// What is asked for, or why not.
pub type Reply<T> = Result<T, Refusal>;

/// Why something that was asked for is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For people.
    pub reason: String,
}

impl Refusal {
    /// A refusal in words.
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// Makes the message of a reply: `status`, and what goes with it.
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

/// Reads the JSON of a reply. The peer's reason is made fit for a terminal.
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
    let mut refusal: Refusal = decode(body)?;
    refusal.reason = printable(&refusal.reason, MAX_REASON_CHARS);
    Ok(Err(refusal))
}
