//! `put` and `get`.

use std::net::SocketAddr;

use blake3::Hash;
use bytes::{Bytes, BytesMut};
use lftp_transport::{Stream, Time, unblock};

use super::{Client, OpenError, Receipt, Target, TransferError};
use crate::delivered::SendMeter;
use crate::link::{self, LinkError};
use crate::message::{
    self, Ack, Cancelled, Granted, Hello, MessageError, Purpose, Ready, Request, Token, Whole,
};
use crate::progress::Progress;
use crate::store::{Sink, Source};
use crate::transfer::{ReceiveError, Received, SendError, receive_file, send_file};

impl From<SendError> for TransferError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Link(error) => Self::Lost(error),
            SendError::Store(error) => Self::Store(error),
            SendError::Changed => Self::SourceChanged,
        }
    }
}

impl From<ReceiveError> for TransferError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Link(error) => Self::Lost(error),
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
    /// Sends a file; the server has it under `name` when this returns.
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
        };
        let granted: Granted = self.request(&request).await?;
        progress.begin(size);
        let mut stream = self.open_data(&granted, None).await?;
        match self.send(&mut stream, source, progress).await {
            Ok(hash) => Ok(self.receipt(stream, size, hash, begun).await),
            Err((error, code)) => {
                stream.reset(code.reset_reason());
                Err(error)
            }
        }
    }

    async fn send(
        &self,
        stream: &mut Stream,
        source: Box<dyn Source>,
        progress: &dyn Progress,
    ) -> Result<Hash, (TransferError, crate::Code)> {
        let lost = |error: LinkError| {
            let code = error.code();
            (TransferError::Lost(error), code)
        };
        // The grant said that there is room for the file, so it does not wait a round trip for
        // the server to say it again.
        let size = source.size();
        let mut meter = SendMeter::new(&self.runtime, &self.delivered, stream, progress, size);
        let sent = send_file(&*self.runtime, stream, source);
        let hash = meter
            .follow(self.config.stall_limit, sent)
            .await
            .map_err(|stalled| lost(stalled.into()))?
            .map_err(|error| {
                let code = error.code();
                (error.into(), code)
            })?;
        let verdict = async {
            link::read_message::<Ready>(stream).await?;
            link::read_reply::<Whole>(stream).await
        };
        let whole = meter
            .follow(self.config.verdict_timeout, verdict)
            .await
            .map_err(|stalled| lost(stalled.into()))?
            .map_err(lost)?
            .map_err(|refusal| {
                let code = refusal.code;
                (TransferError::Verdict(refusal), code)
            })?;
        if whole.hash != *hash.to_hex() || whole.bytes != size {
            return Err((TransferError::Integrity, crate::Code::Integrity));
        }
        meter.done();
        Ok(hash)
    }

    /// Receives the file `name`; it is whole and in its place when this returns.
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
        let granted: Granted = self
            .request(&Request::Get {
                name: name.to_owned(),
            })
            .await?;
        let (size, token) = (granted.size, granted.token);
        progress.begin(size);
        let sink = match self.create(target, size).await {
            Ok(sink) => sink,
            Err(error) => {
                self.cancel(token).await;
                return Err(error);
            }
        };
        let ready = message::encode(&Ready { ack: Ack::Ack })?;
        let mut stream = self.open_data(&granted, Some(ready)).await?;
        let limit = self.config.stall_limit;
        let received = receive_file(&self.runtime, &mut stream, sink, size, limit, progress).await;
        match self.keep(&mut stream, received).await {
            Ok(hash) => Ok(self.receipt(stream, size, hash, begun).await),
            Err(error) => {
                let code = error.code();
                stream.reset(code.reset_reason());
                Err(error.into())
            }
        }
    }

    async fn create(&self, target: Target<'_>, size: u64) -> Result<Box<dyn Sink>, TransferError> {
        let store = std::sync::Arc::clone(target.store);
        let (name, overwrite) = (target.name.clone(), target.overwrite);
        let create = move || store.create(&name, size, overwrite);
        Ok(unblock(&*self.runtime, create).await?)
    }

    /// Gives the received file its name, and the server the verdict.
    async fn keep(
        &self,
        stream: &mut Stream,
        received: Result<Received, ReceiveError>,
    ) -> Result<Hash, ReceiveError> {
        let received = received?;
        let hash = received.hash;
        let whole = received.commit(&*self.runtime).await?;
        let verdict = message::encode_reply(&Ok(whole)).map_err(LinkError::from)?;
        // The file is whole and in its place, whether the server hears of it or not.
        if let Err(error) = link::write(stream, verdict).await {
            tracing::debug!(%error, "the server does not hear that all is well");
        }
        Ok(hash)
    }

    /// Opens the data connection, and shows there what the server waits for.
    async fn open_data(
        &mut self,
        granted: &Granted,
        then: Option<Bytes>,
    ) -> Result<Stream, TransferError> {
        let port = self
            .config
            .port_map
            .get(&granted.port)
            .copied()
            .unwrap_or(granted.port);
        let opened = self.open(SocketAddr::new(self.server.ip(), port)).await;
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(error) => return Err(self.not_opened(granted.token, error).await),
        };
        let hello = Hello::new(Purpose::Data {
            token: granted.token,
        });
        let mut messages = BytesMut::from(&*message::encode(&hello)?);
        messages.extend_from_slice(&then.unwrap_or_default());
        link::write(&mut stream, messages.freeze()).await?;
        Ok(stream)
    }

    async fn not_opened(&mut self, token: Token, error: OpenError) -> TransferError {
        self.cancel(token).await;
        error.into()
    }

    /// Tells the server that nobody will come for a granted port.
    async fn cancel(&mut self, token: Token) {
        if let Err(error) = self.request::<Cancelled>(&Request::Cancel { token }).await {
            tracing::debug!(%error, "a granted transfer could not be cancelled");
        }
    }

    async fn receipt(&self, stream: Stream, bytes: u64, hash: Hash, begun: Time) -> Receipt {
        let duration = self.runtime.now().saturating_since(begun);
        let receipt = Receipt {
            bytes,
            hash,
            duration_ns: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
            stats: stream.stats(),
            data_flow: stream.flow(),
            control_flow: self.control.as_ref().and_then(Stream::flow),
        };
        link::close(&self.runtime, stream, self.config.close_timeout).await;
        receipt
    }
}
