//! Messages from the receiver that arrive while the file is still being sent.

use std::collections::VecDeque;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use lftp_transport::Stream;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::progress::Progress;
use crate::protocol::channel::ChannelError;
use crate::protocol::{self, Answer, LENGTH_BYTES, MAX_MESSAGE_BYTES, MessageError, Reply};

/// Pages of a tree that may be offered and unanswered or not yet sent.
const MAX_ANSWERS: usize = 2;

/// Reads the receiver's messages: progress, answers to pages, and the final confirmation.
pub(crate) struct MessageReader<'a> {
    progress: &'a dyn Progress,
    /// Bytes received and not parsed yet: at most a part of the next message.
    buffer: BytesMut,
    answers: VecDeque<Answer>,
    /// The last message. Nothing is read behind it.
    confirmation: Option<BytesMut>,
}

/// The fields that tell the kinds of messages apart.
#[derive(Deserialize)]
struct Kind {
    status: Option<bool>,
    verified: Option<u64>,
    want: Option<IgnoredAny>,
}

impl<'a> MessageReader<'a> {
    /// Creates a reader that reports verified bytes to `progress`.
    pub(crate) fn new(progress: &'a dyn Progress) -> Self {
        Self {
            progress,
            buffer: BytesMut::new(),
            answers: VecDeque::new(),
            confirmation: None,
        }
    }

    /// Reads what has arrived, without waiting.
    pub(crate) fn poll_messages(&mut self, stream: &mut Stream) -> Result<(), ChannelError> {
        let mut cx = Context::from_waker(Waker::noop());
        while self.confirmation.is_none() {
            // The waker does nothing: the caller polls again when it has written the next piece,
            // and waits for the confirmation in a call of its own.
            let Poll::Ready(chunk) = pin!(stream.read_chunk(MAX_MESSAGE_BYTES)).poll(&mut cx)
            else {
                return Ok(());
            };
            self.buffer
                .extend_from_slice(&chunk?.ok_or(ChannelError::WentAway)?);
            self.parse()?;
        }
        Ok(())
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
    pub(crate) async fn answer(&mut self, stream: &mut Stream) -> Result<Answer, ChannelError> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return Ok(answer);
            }
            if self.confirmation.is_some() {
                return Err(
                    MessageError::OutOfPlace("a confirmation before the end of the file").into(),
                );
            }
            self.read_more(stream).await?;
        }
    }

    /// Waits until the receiver ends the transfer early, and returns the reason.
    pub(crate) async fn early_reply(&mut self, stream: &mut Stream) -> ChannelError {
        while self.confirmation.is_none() {
            if let Err(error) = self.read_more(stream).await {
                return error;
            }
        }
        MessageError::OutOfPlace("a confirmation before the end of the file").into()
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
            if self.buffer.len() < LENGTH_BYTES + length {
                return Ok(());
            }
            self.buffer.advance(LENGTH_BYTES);
            let body = self.buffer.split_to(length);
            let kind: Kind = protocol::decode(&body)?;
            if kind.status.is_some() {
                self.confirmation = Some(body);
            } else if kind.want.is_some() {
                self.answers.push_back(protocol::decode(&body)?);
                if self.answers.len() > MAX_ANSWERS {
                    return Err(MessageError::OutOfPlace(
                        "an answer to a page that was not offered",
                    )
                    .into());
                }
            // Unknown messages are skipped: a later version may send more of them.
            } else if let Some(verified) = kind.verified {
                self.progress.verified(verified);
            }
        }
        Ok(())
    }
}
