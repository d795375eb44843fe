//! Messages from the receiver that arrive while the file is still being sent.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use lftp_transport::Stream;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::error::SendError;
use super::progress::Progress;
use super::watchdog::Stalled;
use crate::protocol::channel::ChannelError;
use crate::protocol::{self, Again, Answer, LENGTH_BYTES, MAX_MESSAGE_BYTES, MessageError, Reply};

/// Pages of a tree that may be offered and unanswered or not yet sent.
const MAX_ANSWERS: usize = 2;

/// Reads the receiver's messages: progress, answers to pages, and the final confirmation.
pub(crate) struct MessageReader<'a> {
    progress: &'a dyn Progress,
    /// Bytes received and not parsed yet: at most a part of the next message.
    buffer: BytesMut,
    answers: VecDeque<Answer>,
    /// The blocks that are to be sent again, if that question may arrive by now.
    again: Option<VecDeque<Again>>,
    /// Sum of the blocks that the receiver has read again.
    checked: Arc<AtomicU64>,
    /// The last message. Nothing is read behind it.
    confirmation: Option<BytesMut>,
}

/// The fields that tell the kinds of messages apart.
#[derive(Deserialize)]
struct Kind {
    status: Option<bool>,
    verified: Option<u64>,
    want: Option<IgnoredAny>,
    again: Option<IgnoredAny>,
    checked: Option<u64>,
}

impl<'a> MessageReader<'a> {
    /// Creates a reader that reports verified bytes to `progress`.
    pub(crate) fn new(progress: &'a dyn Progress) -> Self {
        Self {
            progress,
            buffer: BytesMut::new(),
            answers: VecDeque::new(),
            again: None,
            checked: Arc::default(),
            confirmation: None,
        }
    }

    /// Reads what has arrived, without waiting. A refusal among it ends the transfer.
    pub(crate) fn poll_messages(&mut self, stream: &mut Stream) -> Result<(), SendError> {
        let mut cx = Context::from_waker(Waker::noop());
        while self.confirmation.is_none() {
            // The waker does nothing: the caller polls again when it has written the next piece,
            // and waits for the confirmation in a call of its own.
            let Poll::Ready(chunk) = pin!(stream.read_chunk(MAX_MESSAGE_BYTES)).poll(&mut cx)
            else {
                return Ok(());
            };
            let chunk = chunk.map_err(ChannelError::from)?;
            self.buffer
                .extend_from_slice(&chunk.ok_or(ChannelError::WentAway)?);
            self.parse()?;
        }
        // The confirmation of a tree may come while its last batch is still being written.
        match self.early_confirmation() {
            Some(refused @ SendError::Refused(_)) => Err(refused),
            _ => Ok(()),
        }
    }

    /// Returns the result of a part of the transfer. When the receiver has said why it ends the
    /// transfer, that is the reason, and not the error of a connection that it closed then.
    pub(crate) fn first_reason<T>(
        &mut self,
        stream: &mut Stream,
        part: Result<Result<T, SendError>, Stalled>,
    ) -> Result<T, SendError> {
        let part = part.unwrap_or_else(|stalled| Err(ChannelError::from(stalled).into()));
        part.map_err(|error| match (error, self.poll_messages(stream)) {
            (SendError::Channel(_), Err(refused @ SendError::Refused(_))) => refused,
            (error, _) => error,
        })
    }

    /// Describes a confirmation that has arrived, where none is due yet.
    fn early_confirmation(&self) -> Option<SendError> {
        let confirmation = self.confirmation.as_ref()?;
        Some(match protocol::decode_reply::<IgnoredAny>(confirmation) {
            Ok(Err(refusal)) => SendError::Refused(refusal),
            Ok(Ok(_)) => {
                let early = MessageError::OutOfPlace("a confirmation before the end of the file");
                ChannelError::from(early).into()
            }
            Err(error) => ChannelError::from(error).into(),
        })
    }

    /// Waits for the final confirmation.
    pub(crate) async fn confirmation<T: DeserializeOwned>(
        &mut self,
        stream: &mut Stream,
    ) -> Result<Reply<T>, ChannelError> {
        loop {
            if let Some(confirmation) = self.confirmation.take() {
                return Ok(protocol::decode_reply(&confirmation)?);
            }
            self.read_more(stream).await?;
        }
    }

    /// Waits for the receiver's answer to a page of a tree.
    pub(crate) async fn answer(&mut self, stream: &mut Stream) -> Result<Answer, SendError> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return Ok(answer);
            }
            // The receiver has ended the transfer while pages were still being offered.
            if let Some(early) = self.early_confirmation() {
                return Err(early);
            }
            self.read_more(stream).await?;
        }
    }

    /// Returns a counter that grows with every block that the receiver reads again.
    pub(crate) fn checked(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.checked)
    }

    /// Expects the receiver to ask for blocks again.
    pub(crate) fn expect_again(&mut self) {
        self.again = Some(VecDeque::new());
    }

    /// Waits for the blocks that the receiver wants again; none of them is the last message.
    pub(crate) async fn again(&mut self, stream: &mut Stream) -> Result<Vec<u64>, SendError> {
        loop {
            if let Some(Again { again }) = self.again.as_mut().and_then(VecDeque::pop_front) {
                if again.is_empty() {
                    // The last question has come: a further one would be out of place.
                    self.again = None;
                }
                return Ok(again);
            }
            if let Some(early) = self.early_confirmation() {
                return Err(early);
            }
            self.read_more(stream).await?;
        }
    }

    /// Waits until the receiver ends the transfer early, and returns the reason.
    pub(crate) async fn early_reply(&mut self, stream: &mut Stream) -> SendError {
        loop {
            if let Some(early) = self.early_confirmation() {
                return early;
            }
            if let Err(error) = self.read_more(stream).await {
                return error.into();
            }
        }
    }

    async fn read_more(&mut self, stream: &mut Stream) -> Result<(), ChannelError> {
        let chunk = stream.read_chunk(MAX_MESSAGE_BYTES).await?;
        self.buffer
            .extend_from_slice(&chunk.ok_or(ChannelError::WentAway)?);
        self.parse()
    }

    fn parse(&mut self) -> Result<(), ChannelError> {
        while self.confirmation.is_none() {
            let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else {
                return Ok(());
            };
            let length = protocol::body_bytes(*length)?;
            // The rest of the message comes with a later chunk; `body_bytes` has bounded its
            // length.
            if self.buffer.len() < LENGTH_BYTES + length {
                return Ok(());
            }
            self.buffer.advance(LENGTH_BYTES);
            let body = self.buffer.split_to(length);
            let kind: Kind = protocol::decode(&body)?;
            // By its fields, since messages have no type of their own: a confirmation is the only
            // one with a status.
            if kind.status.is_some() {
                self.confirmation = Some(body);
            } else if kind.want.is_some() {
                self.answers.push_back(protocol::decode(&body)?);
                // A receiver that answers what was not offered would fill the memory.
                if self.answers.len() > MAX_ANSWERS {
                    return Err(MessageError::OutOfPlace(
                        "an answer to a page that was not offered",
                    )
                    .into());
                }
            } else if kind.again.is_some() {
                // One at a time: the next question follows the blocks that this one asks for.
                let again = self.again.as_mut().filter(|again| again.is_empty());
                let again = again.ok_or(MessageError::OutOfPlace("blocks asked for too early"))?;
                again.push_back(protocol::decode(&body)?);
            } else if kind.checked.is_some() {
                self.checked.fetch_add(1, Ordering::Relaxed);
            // Unknown messages are skipped: a later version may send more of them.
            } else if let Some(verified) = kind.verified {
                self.progress.verified(verified);
            }
        }
        Ok(())
    }
}
