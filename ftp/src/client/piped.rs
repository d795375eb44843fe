//! `put` of a pipe, whose length is unknown until its end.

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
    /// Sends a pipe to its end and stores it on the server as `name`. The pipe is read off the async
    /// thread, and may pause for as long as the server's idle limit allows.
    ///
    /// # Errors
    ///
    /// [`TransferError`]; no new file has that name on the server then, and the bytes read are lost.
    pub async fn put_piped(
        &mut self,
        pipe: Box<dyn Read + Send>,
        name: &str,
        overwrite: bool,
        progress: &dyn Progress,
    ) -> Result<Receipt, TransferError> {
        let started_at = self.runtime.now();
        let request = Request::PutPiped {
            name: name.to_owned(),
            overwrite,
        };
        let granted = self.request_transfer(request).await?;
        progress.begin(0);
        let mut stream = self.open_data(&granted, false, None).await?;
        match self.send_pipe(&mut stream, pipe, progress).await {
            Ok(Confirmation { bytes, hash }) => {
                let hash = hash.parse().map_err(|_| TransferError::Integrity)?;
                Ok(self.receipt(stream, bytes, 0, hash, started_at).await)
            }
            Err(error) => {
                stream.reset(error.code().reset_reason());
                Err(error)
            }
        }
    }

    async fn send_pipe(
        &self,
        stream: &mut Stream,
        pipe: Pipe,
        progress: &dyn Progress,
    ) -> Result<Confirmation, TransferError> {
        let mut messages = MessageReader::new(progress);
        // Without progress of its own: the total is unknown, and the receiver reports each block.
        let mut meter = SendMeter::new(&self.runtime, stream, &(), 0);
        let stall = (&mut meter, self.config.stall_limit);
        let sent = send_piped(&*self.runtime, stream, pipe, stall, &mut messages).await;
        let (bytes, hash) = messages.first_reason(stream, Ok(sent))?;
        progress.grow(bytes);
        let confirmation = meter
            .follow(
                self.config.confirmation_timeout,
                messages.confirmation::<Confirmation>(stream),
            )
            .await;
        let whole = confirmation
            .map_err(ChannelError::from)??
            .map_err(TransferError::Rejected)?;
        if whole.hash != *hash.to_hex() || whole.bytes != bytes {
            return Err(TransferError::Integrity);
        }
        progress.verified(bytes);
        Ok(whole)
    }
}
