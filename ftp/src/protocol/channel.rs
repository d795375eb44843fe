//! A stream as a channel for messages, and its failures.

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

/// Bytes discarded at most while a connection is being closed.
const MAX_DRAINED_BYTES: usize = 1 << 20;

/// Failure of a connection to the peer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The peer reset the connection and gave a reason.
    #[error("the peer gave up: {0}")]
    GaveUp(Code),
    /// The peer closed the connection without a reason: it ended, or was killed.
    #[error("the peer closed the connection")]
    WentAway,
    /// The server does not admit this client's key.
    #[error("the server does not admit this client's key")]
    NotAdmitted,
    /// The peer no longer answers.
    #[error("the peer no longer answers; is the network still up?")]
    Silent,
    /// The connection is alive, but makes no progress.
    #[error("no progress for too long")]
    Stalled,
    /// The peer has no place for the connection.
    #[error("the peer refused the connection: {0}")]
    Refused(Refusal),
    /// The peer broke the protocol of the transport.
    #[error("the peer broke the protocol: {0}")]
    Violation(&'static str),
    /// The peer ended the connection because this side broke the protocol, as it says.
    #[error("the peer ended the connection, since this side broke the protocol")]
    Accused,
    /// A message was invalid.
    #[error(transparent)]
    Protocol(#[from] MessageError),
    /// The transport failed.
    #[error("the connection failed: {0}")]
    Transport(String),
}

impl ChannelError {
    /// Code that tells the peer about the failure.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::GaveUp(code) => *code,
            Self::NotAdmitted => Code::NotAdmitted,
            Self::Stalled => Code::Stalled,
            Self::Protocol(MessageError::Version { .. }) => Code::BadVersion,
            Self::Protocol(_) | Self::Violation(_) | Self::Accused => Code::BadRequest,
            Self::Refused(_) => Code::Busy,
            Self::WentAway | Self::Silent | Self::Transport(_) => Code::Unknown,
        }
    }
}

/// Reason in the transport's reset of a connection whose peer broke the protocol.
const VIOLATION_RESET: u32 = u32::MAX;

fn reset(reason: u32) -> ChannelError {
    match Code::from_reset_reason(reason) {
        Some(code) => ChannelError::GaveUp(code),
        None if reason == 0 => ChannelError::WentAway,
        None if reason == VIOLATION_RESET => ChannelError::Accused,
        None => ChannelError::Transport(format!("it was reset with the reason {reason}")),
    }
}

impl From<ConnectionError> for ChannelError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Reset { reason } => reset(reason),
            ConnectionError::Refused(Refusal::UntrustedKey) => Self::NotAdmitted,
            ConnectionError::Refused(refusal) => Self::Refused(refusal),
            ConnectionError::Protocol(what) => Self::Violation(what),
            ConnectionError::TimedOut => Self::Silent,
            ConnectionError::StatelessReset => Self::WentAway,
            error => Self::Transport(error.to_string()),
        }
    }
}

impl From<ReadError> for ChannelError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Connection(error) => error.into(),
            ReadError::UnexpectedEnd => Self::WentAway,
            error => Self::Transport(error.to_string()),
        }
    }
}

impl From<WriteError> for ChannelError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Connection(error) => error.into(),
            error => Self::Transport(error.to_string()),
        }
    }
}

/// Keep-alive interval where the configuration sets none.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Sets a keep-alive interval where the configuration has none, short enough for several packets
/// within the idle timeout.
pub(crate) fn keep_alive(config: &mut Config) {
    let interval = KEEP_ALIVE.min(config.idle_timeout / 3);
    config.keep_alive.get_or_insert(interval);
}

/// Reads a message's JSON; `None` when the peer has finished the stream instead.
pub(crate) async fn read_body(stream: &mut Stream) -> Result<Option<Vec<u8>>, ChannelError> {
    let mut length = [0; LENGTH_BYTES];
    // The end of the stream is in order between two messages only.
    let first = stream.read(&mut length).await?;
    if first == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[first..]).await?;
    let mut body = vec![0; framing::body_bytes(length)?];
    stream.read_exact(&mut body).await?;
    Ok(Some(body))
}

/// Reads a message.
pub(crate) async fn read_message<T: DeserializeOwned>(
    stream: &mut Stream,
) -> Result<T, ChannelError> {
    let body = read_body(stream).await?.ok_or(ChannelError::WentAway)?;
    Ok(framing::decode(&body)?)
}

/// Reads a reply.
pub(crate) async fn read_reply<T: DeserializeOwned>(
    stream: &mut Stream,
) -> Result<Reply<T>, ChannelError> {
    let body = read_body(stream).await?.ok_or(ChannelError::WentAway)?;
    Ok(reply::decode_reply(&body)?)
}

/// Writes encoded messages.
pub(crate) async fn write(stream: &mut Stream, messages: Bytes) -> Result<(), ChannelError> {
    Ok(stream.write_bytes(messages).await?)
}

/// Waits for `future` up to a limit.
pub(crate) async fn within<T>(
    runtime: &Arc<dyn Runtime>,
    limit: Duration,
    future: impl Future<Output = Result<T, ChannelError>>,
) -> Result<T, ChannelError> {
    timeout(&**runtime, limit, future)
        .await
        .unwrap_or(Err(ChannelError::Stalled))
}

/// Closes a connection gracefully: what was written arrives, and the peer sees no reset. A peer
/// that does not close its side within `limit` is abandoned.
pub(crate) async fn close(runtime: &Arc<dyn Runtime>, mut stream: Stream, limit: Duration) {
    let orderly = async {
        stream.finish().await?;
        let mut drained = 0;
        while let Some(chunk) = stream.read_chunk(MAX_DRAINED_BYTES).await? {
            // A peer that keeps sending is not waited for.
            drained += chunk.len();
            if drained > MAX_DRAINED_BYTES {
                break;
            }
        }
        Ok(())
    };
    if let Err(error) = within(runtime, limit, orderly).await {
        tracing::debug!(%error, "a connection was not closed gracefully");
    }
}
