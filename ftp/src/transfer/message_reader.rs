//! What the receiver says while the file is still being sent.

use std::collections::VecDeque;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use lftp_transport::Stream;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::progress::Progress;
use crate::protocol::channel::LinkError;
use crate::protocol::{self, Answer, LENGTH_BYTES, MAX_MESSAGE_BYTES, MessageError, Reply};

/// Pages of a tree that are offered and not carried yet.
const MAX_ANSWERS: usize = 2;

/// Messages that have come, whole ones and the beginning of the next.
pub(crate) struct Hearing<'a> {
    progress: &'a dyn Progress,
    heard: BytesMut,
    answers: VecDeque<Answer>,
    verdict: Option<BytesMut>,
}

/// As much of any message as tells which one it is.
#[derive(Deserialize)]
struct Kind {
    status: Option<bool>,
    verified: Option<u64>,
    want: Option<IgnoredAny>,
}

impl<'a> Hearing<'a> {
    /// Says on to `progress` what is verified.
    pub(crate) fn new(progress: &'a dyn Progress) -> Self {
        Self {
            progress,
            heard: BytesMut::new(),
            answers: VecDeque::new(),
            verdict: None,
        }
    }

    /// Takes what is there, and waits for nothing.
    pub(crate) fn listen(&mut self, stream: &mut Stream) -> Result<(), LinkError> {
        let mut cx = Context::from_waker(Waker::noop());
        while self.verdict.is_none() {
            let Poll::Ready(chunk) = pin!(stream.read_chunk(MAX_MESSAGE_BYTES)).poll(&mut cx)
            else {
                return Ok(());
            };
            self.heard
                .extend_from_slice(&chunk?.ok_or(LinkError::WentAway)?);
            self.understand()?;
        }
        Ok(())
    }

    /// Waits for the receiver's word on everything.
    pub(crate) async fn verdict<T: DeserializeOwned>(
        &mut self,
        stream: &mut Stream,
    ) -> Result<Reply<T>, LinkError> {
        loop {
            if let Some(verdict) = self.verdict.take() {
                return Ok(protocol::decode_reply(&verdict)?);
            }
            self.wait(stream).await?;
        }
    }

    /// Waits for the receiver's answer to a page of a tree.
    pub(crate) async fn answer(&mut self, stream: &mut Stream) -> Result<Answer, LinkError> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return Ok(answer);
            }
            if self.verdict.is_some() {
                return Err(MessageError::OutOfPlace("a verdict before the end").into());
            }
            self.wait(stream).await?;
        }
    }

    /// Waits until the receiver wants no more, and says why.
    pub(crate) async fn objection(&mut self, stream: &mut Stream) -> LinkError {
        while self.verdict.is_none() {
            if let Err(error) = self.wait(stream).await {
                return error;
            }
        }
        MessageError::OutOfPlace("a verdict before the end").into()
    }

    async fn wait(&mut self, stream: &mut Stream) -> Result<(), LinkError> {
        let chunk = stream.read_chunk(MAX_MESSAGE_BYTES).await?;
        self.heard
            .extend_from_slice(&chunk.ok_or(LinkError::WentAway)?);
        self.understand()
    }

    fn understand(&mut self) -> Result<(), LinkError> {
        while self.verdict.is_none() {
            let Some(length) = self.heard.first_chunk::<LENGTH_BYTES>() else {
                return Ok(());
            };
            let length = protocol::body_bytes(*length)?;
            if self.heard.len() < LENGTH_BYTES + length {
                return Ok(());
            }
            self.heard.advance(LENGTH_BYTES);
            let body = self.heard.split_to(length);
            let kind: Kind = protocol::decode(&body)?;
            if kind.status.is_some() {
                self.verdict = Some(body);
            } else if kind.want.is_some() {
                self.answers.push_back(protocol::decode(&body)?);
                if self.answers.len() > MAX_ANSWERS {
                    return Err(MessageError::OutOfPlace("an answer to nothing").into());
                }
            } else if let Some(verified) = kind.verified {
                self.progress.verified(verified);
            }
        }
        Ok(())
    }
}
