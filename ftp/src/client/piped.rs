//! `put` of what comes through a pipe.

use std::io::Read;

use lftp_transport::Stream;

use super::{Client, Receipt, TransferError};
use crate::protocol::channel::ChannelError;
use crate::protocol::{Confirmation, Request};
use crate::transfer::MessageReader;
use crate::transfer::Progress;
use crate::transfer::SendMeter;
use crate::transfer::{Pipe, send_piped};

impl Client {
    /// Sends what comes through a pipe until its end; the server has it under `name` when this
    /// returns. The pipe is read where that holds nobody up, and may stand still for as long as
    /// the server lets a client do so.
    ///
    /// # Errors
    ///
    /// [`TransferError`]; the server then has nothing new under that name, and what was read
    /// is lost.
    pub async fn put_piped(
        &mut self,
        pipe: Box<dyn Read + Send>,
        name: &str,
        overwrite: bool,
        progress: &dyn Progress,
    ) -> Result<Receipt, TransferError> {
        let begun = self.runtime.now();
        let request = Request::PutPiped {
            name: name.to_owned(),
            overwrite,
        };
        let granted = self.request_transfer(request).await?;
        progress.begin(0);
        let mut stream = self.open_data(&granted, false, None).await?;
        match self.drain(&mut stream, pipe, progress).await {
            Ok(Confirmation { bytes, hash }) => {
                let hash = hash.parse().map_err(|_| TransferError::Integrity)?;
                Ok(self.receipt(stream, bytes, 0, hash, begun).await)
            }
            Err(error) => {
                stream.reset(error.code().reset_reason());
                Err(error)
            }
        }
    }

    async fn drain(
        &self,
        stream: &mut Stream,
        pipe: Pipe,
        progress: &dyn Progress,
    ) -> Result<Confirmation, TransferError> {
        let mut messages = MessageReader::new(progress);
        let mut meter = SendMeter::new(&self.runtime, stream, &(), 0);
        let patience = (&mut meter, self.config.stall_limit);
        let sent = send_piped(&*self.runtime, stream, pipe, patience, &mut messages).await;
        let (bytes, hash) = sent?;
        progress.grow(bytes);
        let verdict = meter
            .follow(
                self.config.confirmation_timeout,
                messages.confirmation::<Confirmation>(stream),
            )
            .await;
        let whole = verdict
            .map_err(ChannelError::from)??
            .map_err(TransferError::Verdict)?;
        if whole.hash != *hash.to_hex() || whole.bytes != bytes {
            return Err(TransferError::Integrity);
        }
        progress.verified(bytes);
        Ok(whole)
    }
}
