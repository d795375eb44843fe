//! The data connection of a transfer: opening, cancelling, closing.

use blake3::Hash;
use bytes::{Bytes, BytesMut};
use lftp_transport::{Stream, Time};

use super::{Client, Receipt, TransferError};
use crate::protocol::channel::{self};
use crate::protocol::{self, Cancelled, Granted, Hello, MessageError, Purpose, Request, Token};
use crate::transfer::Progress;

impl From<MessageError> for TransferError {
    fn from(error: MessageError) -> Self {
        Self::Lost(error.into())
    }
}

impl Client {
    /// Opens the data connection, or takes the early one, and sends the hello and `then`.
    pub(super) async fn open_data(
        &mut self,
        granted: &Granted,
        resume: bool,
        then: Option<Bytes>,
    ) -> Result<Stream, TransferError> {
        let opened = match self.take_early(granted.port).await {
            Some(stream) => Ok(stream),
            None => {
                let addr = self.data_addr(granted.port);
                self.open(addr, self.data_transport()).await
            }
        };
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(error) => {
                // The server holds a port for this transfer, and others may wait for one.
                self.cancel(granted.token).await;
                return Err(error.into());
            }
        };
        let hello = Hello::new(Purpose::Data {
            token: granted.token,
            resume,
            ahead: false,
        });
        let mut messages = BytesMut::from(&*protocol::encode(&hello)?);
        // In one write, and so in one packet with the hello.
        messages.extend_from_slice(&then.unwrap_or_default());
        channel::write(&mut stream, messages.freeze()).await?;
        Ok(stream)
    }

    /// Gives a granted port back that will not be used.
    pub(super) async fn cancel(&mut self, token: Token) {
        if let Err(error) = self.request::<Cancelled>(Request::Cancel { token }).await {
            tracing::debug!(%error, "cannot cancel a granted transfer");
        }
    }

    /// Closes the data connection and describes the completed transfer.
    pub(super) async fn receipt(
        &self,
        stream: Stream,
        bytes: u64,
        resumed_bytes: u64,
        hash: Hash,
        started_at: Time,
    ) -> Receipt {
        let duration = self.runtime.now().saturating_since(started_at);
        let receipt = Receipt {
            bytes,
            resumed_bytes,
            hash,
            duration_ns: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
            stats: stream.stats(),
            data_flow: stream.flow(),
            control_flow: self.control.as_ref().and_then(Stream::flow),
        };
        channel::close(&self.runtime, stream, self.config.close_timeout).await;
        receipt
    }
}

/// Reports the offset at which a transfer resumes, if an earlier one left verified blocks.
pub(super) fn report_resumed(progress: &dyn Progress, from: u64) {
    if from > 0 {
        tracing::info!(from, "resuming the transfer");
        progress.resumed(from);
    }
}
