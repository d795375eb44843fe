//! Messages on a stream, and what can happen to them on the way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lftp_transport::{
    Config, ConnectionError, ReadError, Refusal, Runtime, Stream, WriteError, timeout,
};
use serde::de::DeserializeOwned;

use super::code::Code;
use super::framing::{self, LENGTH_BYTES, MessageError};
use super::reply::{self, Reply};

/// Bytes read and thrown away while a connection is being closed.
const MAX_DRAINED_BYTES: usize = 1 << 20;

/// Why a connection is of no more use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer gave up and said why.
    #[error("the other side gave up: {0}")]
    GaveUp(Code),
    /// The peer went away without a word: it ended, or was ended.
    #[error("the other side went away")]
    WentAway,
    /// The server does not accept this side's key.
    #[error("the server does not admit this client's key")]
    NotAdmitted,
    /// Nothing is heard from the peer any more.
    #[error("nothing is heard from the other side any more; is the network still there?")]
    Silent,
    /// The connection stands, but nothing moves on it.
    #[error("nothing moved for too long")]
    Stalled,
    /// A message was not what belongs there.
    #[error(transparent)]
    Protocol(#[from] MessageError),
    /// The transport failed.
    #[error("the connection failed: {0}")]
    Transport(String),
}

impl LinkError {
    /// What to tell the peer about it.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::GaveUp(code) => *code,
            Self::NotAdmitted => Code::NotAdmitted,
            Self::Stalled => Code::Stalled,
            Self::Protocol(MessageError::Version { .. }) => Code::BadVersion,
            Self::Protocol(_) => Code::BadRequest,
            Self::WentAway | Self::Silent | Self::Transport(_) => Code::Unknown,
        }
    }
}

fn reset(reason: u32) -> LinkError {
    match Code::from_reset_reason(reason) {
        Some(code) => LinkError::GaveUp(code),
        None if reason == 0 => LinkError::WentAway,
        None => LinkError::Transport(format!("it was reset with the reason {reason}")),
    }
}

impl From<ConnectionError> for LinkError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Reset { reason } => reset(reason),
            ConnectionError::Refused(Refusal::UntrustedKey) => Self::NotAdmitted,
            ConnectionError::TimedOut => Self::Silent,
            ConnectionError::Lost => Self::WentAway,
            error => Self::Transport(error.to_string()),
        }
    }
}

impl From<ReadError> for LinkError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Connection(error) => error.into(),
            ReadError::UnexpectedEnd => Self::WentAway,
            error => Self::Transport(error.to_string()),
        }
    }
}

impl From<WriteError> for LinkError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Connection(error) => error.into(),
            error => Self::Transport(error.to_string()),
        }
    }
}

/// The longest silence before a sign of life, where the configuration sets none.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Keeps a connection alive on which nothing is said, where that is not set already: several
/// signs within this side's patience.
pub(crate) fn keep_alive(config: &mut Config) {
    let interval = KEEP_ALIVE.min(config.idle_timeout / 3);
    config.keep_alive.get_or_insert(interval);
}

/// Reads a message's JSON; `None` when the peer has finished instead of beginning one.
pub(crate) async fn read_body(stream: &mut Stream) -> Result<Option<Vec<u8>>, LinkError> {
    let mut length = [0; LENGTH_BYTES];
    let first = stream.read(&mut length).await?;
    if first == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[first..]).await?;
    let mut body = vec![0; framing::body_bytes(length)?];
    stream.read_exact(&mut body).await?;
    Ok(Some(body))
}

/// Reads a message that must come.
pub(crate) async fn read_message<T: DeserializeOwned>(stream: &mut Stream) -> Result<T, LinkError> {
    let body = read_body(stream).await?.ok_or(LinkError::WentAway)?;
    Ok(framing::decode(&body)?)
}

/// Reads a reply that must come.
pub(crate) async fn read_reply<T: DeserializeOwned>(
    stream: &mut Stream,
) -> Result<Reply<T>, LinkError> {
    let body = read_body(stream).await?.ok_or(LinkError::WentAway)?;
    Ok(reply::decode_reply(&body)?)
}

/// Writes messages that are made already, in one go.
pub(crate) async fn write(stream: &mut Stream, messages: Bytes) -> Result<(), LinkError> {
    Ok(stream.write_bytes(messages).await?)
}

/// Waits for `future`, but not for ever.
pub(crate) async fn within<T>(
    runtime: &Arc<dyn Runtime>,
    limit: Duration,
    future: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    timeout(&**runtime, limit, future)
        .await
        .unwrap_or(Err(LinkError::Stalled))
}

/// Ends a connection in good order: what was written arrives, and nobody sees a reset. A peer
/// that does not do its part within `limit` is left.
pub(crate) async fn close(runtime: &Arc<dyn Runtime>, mut stream: Stream, limit: Duration) {
    let orderly = async {
        stream.finish().await?;
        let mut drained = 0;
        while let Some(chunk) = stream.read_chunk(MAX_DRAINED_BYTES).await? {
            drained += chunk.len();
            if drained > MAX_DRAINED_BYTES {
                break;
            }
        }
        Ok(())
    };
    if let Err(error) = within(runtime, limit, orderly).await {
        tracing::debug!(%error, "a connection did not end in good order");
    }
}
