//! `get` of a single file.

use std::sync::Arc;

use blake3::Hash;
use lftp_transport::{Stream, spawn_blocking};

use super::data_connection::report_resumed;
use super::early::GrantedTransfer;
use super::{Client, Receipt, RequestError, Target, TransferError};
use crate::protocol::blocks;
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{self, Ack, Attributes, Granted, Ready, Request};
use crate::store::{CreateOptions, Origin, PartialOptions, ResumablePartial, Sink};
use crate::transfer::Progress;
use crate::transfer::Watchdog;
use crate::transfer::resume;
use crate::transfer::{ReceiveError, ReceivePlan, ReceivedFile, receive_file};

/// Returns the key by which a later transfer finds the partial file of `name`.
fn partial_key(name: &str) -> String {
    format!("get {name}")
}

impl From<ReceiveError> for TransferError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Channel(error) => Self::Lost(error),
            ReceiveError::Store(error) => Self::Store(error),
            ReceiveError::Integrity => Self::Integrity,
        }
    }
}

impl Client {
    /// Receives the file `name` and stores it at the target. If an earlier transfer of the same file
    /// to the same target was interrupted, this one resumes after its last verified block.
    ///
    /// # Errors
    ///
    /// [`TransferError`]; the target is unchanged then.
    pub async fn get(
        &mut self,
        name: &str,
        target: Target<'_>,
        progress: &dyn Progress,
    ) -> Result<Receipt, TransferError> {
        let started_at = self.runtime.now();
        let partial = self.find_partial(name, target).await?;
        let held = partial
            .as_ref()
            .and_then(|partial| resume::held_of(&*self.runtime, partial));
        let request = Request::Get {
            name: name.to_owned(),
            held,
        };
        let ready = protocol::encode(&Ready { ack: Ack::Ack })?;
        let GrantedTransfer { granted, stream } = match &partial {
            // With nothing held the answer to the grant is known beforehand. A resumed transfer has
            // to see what the server makes of the held blocks.
            None => self.request_sending(request, vec![ready.clone()]).await?,
            Some(_) => self.request_transfer(request).await?.into(),
        };
        let size = granted.size;
        progress.begin(size);
        let (sink, held) = match self.open_target(name, target, &granted, partial).await {
            Ok(opened) => opened,
            Err(error) => {
                match stream {
                    // The server sends on this stream already: a request to cancel would come too
                    // late.
                    Some(mut stream) => stream.reset(error.code().reset_reason()),
                    None => self.cancel(granted.token).await,
                }
                return Err(error);
            }
        };
        let from = blocks::offset(held);
        report_resumed(progress, from);
        let mut stream = match stream {
            Some(stream) => stream,
            None => self.open_data(&granted, false, Some(ready)).await?,
        };
        let mut watchdog = Watchdog::new(&self.runtime, self.config.stall_limit);
        let plan = ReceivePlan {
            size,
            held,
            progress,
            reports_blocks: false,
        };
        let received = receive_file(&self.runtime, &mut stream, sink, plan, &mut watchdog).await;
        let attributes = granted.attributes;
        match self.finish_get(&mut stream, received, attributes).await {
            Ok(hash) => {
                progress.verified(size);
                Ok(self.receipt(stream, size, from, hash, started_at).await)
            }
            Err(error) => {
                let code = error.code();
                stream.reset(code.reset_reason());
                Err(error.into())
            }
        }
    }

    /// Looks for the partial file of an earlier transfer to the same target.
    async fn find_partial(
        &self,
        name: &str,
        target: Target<'_>,
    ) -> Result<Option<ResumablePartial>, TransferError> {
        let store = Arc::clone(target.store);
        let (to, overwrite, key) = (target.name.clone(), target.overwrite, partial_key(name));
        let open = move || store.open_partial(&to, PartialOptions::new(&key, overwrite));
        match spawn_blocking(&*self.runtime, open).await {
            // An error that matters shows again when the target is opened.
            Err(error) => {
                tracing::debug!(%error, "no partial file to resume");
                Ok(None)
            }
            Ok(partial) => Ok(partial),
        }
    }

    /// Opens the partial file if the server resumes it, or a new file otherwise.
    async fn open_target(
        &self,
        name: &str,
        target: Target<'_>,
        granted: &Granted,
        partial: Option<ResumablePartial>,
    ) -> Result<(Box<dyn Sink>, u64), TransferError> {
        let held = partial
            .as_ref()
            .map_or(0, |partial| partial.hashes.len() as u64);
        let store = Arc::clone(target.store);
        let (to, overwrite, size) = (target.name.clone(), target.overwrite, granted.size);
        if granted.from > 0 {
            let partial = partial.filter(|partial| partial.size == size);
            // The offset is the server's: to continue anywhere else would leave a hole.
            let resumed = partial.filter(|_| blocks::offset(held) == granted.from);
            let unexpected = RequestError::UnexpectedReply("it resumes where no block is held");
            return Ok((resumed.ok_or(unexpected)?.sink, held));
        }
        let (key, source, allocated) =
            (partial_key(name), granted.source.clone(), granted.allocated);
        let create = move || {
            if let Some(partial) = partial {
                // The server's file is another one now: what is held of the old would stay on the
                // disk for ever.
                partial.sink.discard();
            }
            let options = CreateOptions::new(size, overwrite);
            match source {
                Some(source) => {
                    let origin = Origin {
                        key: &key,
                        source: &source,
                        allocated,
                    };
                    store.create(&to, options.resumable(origin))
                }
                None => store.create(&to, options),
            }
        };
        let sink = spawn_blocking(&*self.runtime, create).await?;
        Ok((sink, 0))
    }

    /// Gives the received file its final name, and sends the confirmation.
    async fn finish_get(
        &self,
        stream: &mut Stream,
        received: Result<ReceivedFile, ReceiveError>,
        attributes: Attributes,
    ) -> Result<Hash, ReceiveError> {
        let mut received = received?;
        received.attributes = attributes;
        let hash = received.hash;
        let whole = received.commit(&*self.runtime).await?;
        let confirmation = protocol::encode_reply(&Ok(whole)).map_err(ChannelError::from)?;
        // The file is stored, whether or not the confirmation reaches the server.
        if let Err(error) = channel::write(stream, confirmation).await {
            tracing::debug!(%error, "the confirmation cannot be sent");
        }
        Ok(hash)
    }
}
