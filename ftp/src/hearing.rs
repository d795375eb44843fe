//! What the receiver says while the file is still being sent.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use lftp_transport::Stream;
use serde::Deserialize;

use crate::link::LinkError;
use crate::message::{self, LENGTH_BYTES, MAX_MESSAGE_BYTES, Reply, Whole};
use crate::progress::Progress;

/// Messages that have come, whole ones and the beginning of the next.
pub(crate) struct Hearing<'a> {
    progress: &'a dyn Progress,
    heard: BytesMut,
    verdict: Option<Reply<Whole>>,
}

/// As much of any message as tells which one it is.
#[derive(Deserialize)]
struct Kind {
    status: Option<bool>,
    verified: Option<u64>,
}

impl<'a> Hearing<'a> {
    /// Says on to `progress` what is verified.
    pub(crate) fn new(progress: &'a dyn Progress) -> Self {
        Self {
            progress,
            heard: BytesMut::new(),
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

    /// Waits for the receiver's word on the whole file.
    pub(crate) async fn verdict(&mut self, stream: &mut Stream) -> Result<Reply<Whole>, LinkError> {
        loop {
            if let Some(verdict) = self.verdict.take() {
                return Ok(verdict);
            }
            let chunk = stream.read_chunk(MAX_MESSAGE_BYTES).await?;
            self.heard
                .extend_from_slice(&chunk.ok_or(LinkError::WentAway)?);
            self.understand()?;
        }
    }

    fn understand(&mut self) -> Result<(), LinkError> {
        while self.verdict.is_none() {
            let Some(length) = self.heard.first_chunk::<LENGTH_BYTES>() else {
                return Ok(());
            };
            let length = message::body_bytes(*length)?;
            if self.heard.len() < LENGTH_BYTES + length {
                return Ok(());
            }
            self.heard.advance(LENGTH_BYTES);
            let body = self.heard.split_to(length);
            let kind: Kind = message::decode(&body)?;
            if kind.status.is_some() {
                self.verdict = Some(message::decode_reply(&body)?);
            } else if let Some(verified) = kind.verified {
                self.progress.verified(verified);
            }
        }
        Ok(())
    }
}
