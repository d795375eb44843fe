//! `put` and `get`.

use std::sync::Arc;

use blake3::Hash;
use bytes::{Bytes, BytesMut};
use lftp_transport::{Stream, Time, spawn_blocking};

use super::ahead::Begun;
use super::small::Small;
use super::{Client, OpenError, Receipt, RequestError, Target, TransferError};
use crate::protocol::blocks::{BLOCK_BYTES, Prefix};
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{
    self, Ack, Cancelled, Confirmation, Granted, Hello, MessageError, Purpose, Ready, Request,
    Token,
};
use crate::store::{CreateOptions, Origin, PartialOptions, ResumablePartial, Sink, Source};
use crate::transfer::MessageReader;
use crate::transfer::Progress;
use crate::transfer::SendMeter;
use crate::transfer::Watchdog;
use crate::transfer::resume;
use crate::transfer::{
    ReceiveError, ReceivePlan, ReceivedFile, SendError, receive_file, send_file,
};

/// What a later transfer of the file `name` to the same target is known by.
fn key(name: &str) -> String {
    format!("get {name}")
}

impl From<SendError> for TransferError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Channel(error) => Self::Lost(error),
            SendError::Store(error) => Self::Store(error),
            SendError::Changed => Self::SourceChanged,
        }
    }
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

impl From<MessageError> for TransferError {
    fn from(error: MessageError) -> Self {
        Self::Lost(error.into())
    }
}

impl Client {
    /// Sends a file; the server has it under `name` when this returns. Where an earlier
    /// transfer of the same file broke off, this one goes on behind the last block that the
    /// server verified.
    ///
    /// # Errors
    ///
    /// [`TransferError`]; the server then has nothing new under that name.
    pub async fn put(
        &mut self,
        source: Box<dyn Source>,
        name: &str,
        overwrite: bool,
        progress: &dyn Progress,
    ) -> Result<Receipt, TransferError> {
        let begun = self.runtime.now();
        let size = source.size();
        let request = Request::Put {
            name: name.to_owned(),
            size,
            overwrite,
            source: source.fingerprint().filter(|_| size > BLOCK_BYTES),
            allocated: source.allocated(),
        };
        if size <= BLOCK_BYTES {
            let small = Small::read(&*self.runtime, source).await?;
            return self.put_small(request, small, progress, begun).await;
        }
        let mut granted = self.request_transfer(request).await?;
        progress.begin(size);
        let (source, prefix) = match granted.held.take() {
            None => (source, Prefix::default()),
            Some(held) => match resume::seek_to_held(&*self.runtime, source, &held).await {
                Ok(placed) => placed,
                Err(error) => {
                    self.cancel(granted.token).await;
                    return Err(error.into());
                }
            },
        };
        let from = prefix.bytes();
        tell_resumed(progress, from);
        let mut stream = self.open_data(&granted, from > 0, None).await?;
        match self.send(&mut stream, source, prefix, progress).await {
            Ok(hash) => Ok(self.receipt(stream, size, from, hash, begun).await),
            Err(error) => {
                stream.reset(error.code().reset_reason());
                Err(error)
            }
        }
    }

    pub(super) async fn send(
        &self,
        stream: &mut Stream,
        source: Box<dyn Source>,
        prefix: Prefix,
        progress: &dyn Progress,
    ) -> Result<Hash, TransferError> {
        // The grant said that there is room for the file, so it does not wait a round trip for
        // the server to say it again.
        let size = source.size();
        let mut messages = MessageReader::new(progress);
        let mut meter = SendMeter::new(&self.runtime, stream, progress, size);
        meter.begin_at(prefix.bytes());
        let sent = send_file(&*self.runtime, stream, source, prefix, &mut messages);
        let hash = meter
            .follow(self.config.stall_limit, sent)
            .await
            .map_err(ChannelError::from)??;
        self.judged(stream, &mut messages, &mut meter, (size, hash))
            .await?;
        progress.verified(size);
        Ok(hash)
    }

    /// Waits for the server's word that it has the same file.
    pub(super) async fn judged(
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
            .map_err(TransferError::Verdict)?;
        if whole.hash != *hash.to_hex() || whole.bytes != size {
            return Err(TransferError::Integrity);
        }
        meter.done();
        Ok(())
    }

    /// Receives the file `name`; it is whole and in its place when this returns. Where an
    /// earlier transfer of the same file to the same target broke off, this one goes on behind
    /// its last verified block.
    ///
    /// # Errors
    ///
    /// [`TransferError`]; there is then nothing new at the target.
    pub async fn get(
        &mut self,
        name: &str,
        target: Target<'_>,
        progress: &dyn Progress,
    ) -> Result<Receipt, TransferError> {
        let begun = self.runtime.now();
        let parked = self.parked(name, target).await?;
        let held = parked
            .as_ref()
            .and_then(|parked| resume::held_blocks(&*self.runtime, &parked.hashes));
        let request = Request::Get {
            name: name.to_owned(),
            source: parked.as_ref().map(|parked| parked.source.clone()),
            held,
        };
        let ready = protocol::encode(&Ready { ack: Ack::Ack })?;
        let Begun { granted, stream } = match &parked {
            None => self.request_saying(request, vec![ready.clone()]).await?,
            Some(_) => self.request_transfer(request).await?.into(),
        };
        let size = granted.size;
        progress.begin(size);
        let (sink, prefix) = match self.begin(name, target, &granted, parked).await {
            Ok(begun) => begun,
            Err(error) => {
                match stream {
                    Some(mut stream) => stream.reset(error.code().reset_reason()),
                    None => self.cancel(granted.token).await,
                }
                return Err(error);
            }
        };
        let from = prefix.bytes();
        tell_resumed(progress, from);
        let mut stream = match stream {
            Some(stream) => stream,
            None => self.open_data(&granted, false, Some(ready)).await?,
        };
        let mut watchdog = Watchdog::new(&self.runtime, self.config.stall_limit);
        let plan = ReceivePlan {
            size,
            prefix,
            progress,
            reports_blocks: false,
        };
        let received = receive_file(&self.runtime, &mut stream, sink, plan, &mut watchdog).await;
        match self.keep(&mut stream, received).await {
            Ok(hash) => {
                progress.verified(size);
                Ok(self.receipt(stream, size, from, hash, begun).await)
            }
            Err(error) => {
                let code = error.code();
                stream.reset(code.reset_reason());
                Err(error.into())
            }
        }
    }

    /// What an earlier transfer left at the target.
    async fn parked(
        &self,
        name: &str,
        target: Target<'_>,
    ) -> Result<Option<ResumablePartial>, TransferError> {
        let store = Arc::clone(target.store);
        let (to, overwrite, key) = (target.name.clone(), target.overwrite, key(name));
        let open = move || store.open_partial(&to, PartialOptions::new(&key, overwrite));
        match spawn_blocking(&*self.runtime, open).await {
            // Whether the file may be there at all is asked when it is begun.
            Err(error) => {
                tracing::debug!(%error, "nothing to go on with");
                Ok(None)
            }
            Ok(parked) => Ok(parked),
        }
    }

    /// Goes on with what is parked, if that is what the server does; begins anew otherwise.
    async fn begin(
        &self,
        name: &str,
        target: Target<'_>,
        granted: &Granted,
        parked: Option<ResumablePartial>,
    ) -> Result<(Box<dyn Sink>, Prefix), TransferError> {
        let prefix = parked.as_ref().map(|parked| Prefix::of(&parked.hashes));
        let prefix = prefix.unwrap_or_default();
        let store = Arc::clone(target.store);
        let (to, overwrite, size) = (target.name.clone(), target.overwrite, granted.size);
        if granted.from > 0 {
            let parked = parked.filter(|parked| parked.size == size);
            let goes_on = parked.filter(|_| prefix.bytes() == granted.from);
            let confused = RequestError::Confused("a file that goes on where it never was");
            return Ok((goes_on.ok_or(confused)?.sink, prefix));
        }
        let (key, source, allocated) = (key(name), granted.source.clone(), granted.allocated);
        let create = move || {
            if let Some(parked) = parked {
                parked.sink.discard();
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
        Ok((sink, Prefix::default()))
    }

    /// Gives the received file its name, and the server the verdict.
    async fn keep(
        &self,
        stream: &mut Stream,
        received: Result<ReceivedFile, ReceiveError>,
    ) -> Result<Hash, ReceiveError> {
        let received = received?;
        let hash = received.hash;
        let whole = received.commit(&*self.runtime).await?;
        let verdict = protocol::encode_reply(&Ok(whole)).map_err(ChannelError::from)?;
        // The file is whole and in its place, whether the server hears of it or not.
        if let Err(error) = channel::write(stream, verdict).await {
            tracing::debug!(%error, "the server does not hear that all is well");
        }
        Ok(hash)
    }

    /// Opens the data connection, and shows there what the server waits for.
    pub(super) async fn open_data(
        &mut self,
        granted: &Granted,
        resume: bool,
        then: Option<Bytes>,
    ) -> Result<Stream, TransferError> {
        let opened = match self.come_already(granted.port).await {
            Some(stream) => Ok(stream),
            None => {
                let addr = self.data_addr(granted.port);
                self.open(addr, self.data_transport()).await
            }
        };
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(error) => return Err(self.not_opened(granted.token, error).await),
        };
        let hello = Hello::new(Purpose::Data {
            token: granted.token,
            resume,
            ahead: false,
        });
        let mut messages = BytesMut::from(&*protocol::encode(&hello)?);
        messages.extend_from_slice(&then.unwrap_or_default());
        channel::write(&mut stream, messages.freeze()).await?;
        Ok(stream)
    }

    async fn not_opened(&mut self, token: Token, error: OpenError) -> TransferError {
        self.cancel(token).await;
        error.into()
    }

    /// Tells the server that nobody will come for a granted port.
    pub(super) async fn cancel(&mut self, token: Token) {
        if let Err(error) = self.request::<Cancelled>(Request::Cancel { token }).await {
            tracing::debug!(%error, "a granted transfer could not be cancelled");
        }
    }

    pub(super) async fn receipt(
        &self,
        stream: Stream,
        bytes: u64,
        resumed_bytes: u64,
        hash: Hash,
        begun: Time,
    ) -> Receipt {
        let duration = self.runtime.now().saturating_since(begun);
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

/// Where a transfer goes on, if an earlier one left something.
fn tell_resumed(progress: &dyn Progress, from: u64) {
    if from > 0 {
        tracing::info!(from, "resuming the transfer");
        progress.resumed(from);
    }
}
