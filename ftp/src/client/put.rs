//! `put` of a single file.

use blake3::Hash;
use lftp_transport::Stream;

use super::data_connection::report_resumed;
use super::small_file::SmallFile;
use super::{Client, Receipt, TransferError};
use crate::protocol::blocks::{self, BLOCK_BYTES};
use crate::protocol::channel::ChannelError;
use crate::protocol::{Confirmation, Request};
use crate::store::Source;
use crate::transfer::MessageReader;
use crate::transfer::Progress;
use crate::transfer::SendMeter;
use crate::transfer::resume;
use crate::transfer::{SendError, send_file};

impl From<SendError> for TransferError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Channel(error) => Self::Lost(error),
            SendError::Store(error) => Self::Store(error),
            SendError::Changed => Self::SourceChanged,
            SendError::Refused(refusal) => Self::Rejected(refusal),
        }
    }
}

impl Client {
    /// Sends a file and stores it on the server as `name`. If an earlier transfer of the same file
    /// was interrupted, this one resumes after the last block that the server has verified.
    ///
    /// # Errors
    ///
    /// [`TransferError`]; no new file has that name on the server then.
    pub async fn put(
        &mut self,
        source: Box<dyn Source>,
        name: &str,
        overwrite: bool,
        progress: &dyn Progress,
    ) -> Result<Receipt, TransferError> {
        let started_at = self.runtime.now();
        let size = source.size();
        let request = Request::Put {
            name: name.to_owned(),
            size,
            overwrite,
            // A file of one block leaves nothing to resume.
            source: source.fingerprint().filter(|_| size > BLOCK_BYTES),
            allocated: source.allocated(),
            attributes: source.attributes(),
        };
        if size <= BLOCK_BYTES {
            let small = SmallFile::read(&*self.runtime, source).await?;
            return self
                .put_small_file(request, small, progress, started_at)
                .await;
        }
        let mut granted = self.request_transfer(request).await?;
        progress.begin(size);
        let (source, held) = match granted.held.take() {
            None => (source, 0),
            Some(held) => match resume::seek_to_held(&*self.runtime, source, &held).await {
                Ok(placed) => placed,
                Err(error) => {
                    self.cancel(granted.token).await;
                    return Err(error.into());
                }
            },
        };
        let from = blocks::offset(held);
        report_resumed(progress, from);
        // The server learns from the hello whether the source is continued or sent from the
        // beginning.
        let mut stream = self.open_data(&granted, from > 0, None).await?;
        match self.send(&mut stream, source, held, progress).await {
            Ok(hash) => Ok(self.receipt(stream, size, from, hash, started_at).await),
            Err(error) => {
                stream.reset(error.code().reset_reason());
                Err(error)
            }
        }
    }

    /// Sends a file from behind its `held` first blocks on, and waits for the confirmation.
    pub(super) async fn send(
        &self,
        stream: &mut Stream,
        source: Box<dyn Source>,
        held: u64,
        progress: &dyn Progress,
    ) -> Result<Hash, TransferError> {
        // The grant has reserved the room, so the file does not wait a round trip for the `ACK`.
        let size = source.size();
        let mut messages = MessageReader::new(progress);
        let mut meter = SendMeter::new(&self.runtime, stream, progress, size);
        meter.begin_at(blocks::offset(held));
        meter.count_checked(&messages);
        let sent = send_file(&*self.runtime, stream, source, held, &mut messages);
        let sent = meter.follow(self.config.stall_limit, sent).await;
        let hash = messages.first_reason(stream, sent)?;
        self.finish_put(stream, &mut messages, &mut meter, (size, hash))
            .await?;
        progress.verified(size);
        Ok(hash)
    }

    /// Waits for the server's confirmation and compares it with the file that was sent.
    pub(super) async fn finish_put(
        &self,
        stream: &mut Stream,
        messages: &mut MessageReader<'_>,
        meter: &mut SendMeter<'_>,
        (size, hash): (u64, Hash),
    ) -> Result<(), TransferError> {
        let whole = meter
            .follow(
                self.config.confirmation_timeout,
                messages.confirmation::<Confirmation>(stream),
            )
            .await
            .map_err(ChannelError::from)??
            .map_err(TransferError::Rejected)?;
        // What the server stored is compared here once more: a confirmation of another file is no
        // success.
        if whole.hash != *hash.to_hex() || whole.bytes != size {
            return Err(TransferError::Integrity);
        }
        meter.done();
        Ok(())
    }
}
