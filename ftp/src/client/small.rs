//! A file that fits one block: it is sent while it is asked for, and arrives with the request.

use blake3::Hash;
use bytes::Bytes;
use lftp_transport::{Runtime, Stream, Time, spawn_blocking};

use super::ahead::Begun;
use super::{Client, Receipt, TransferError};
use crate::protocol::Request;
use crate::protocol::blocks::{Prefix, TreeHasher};
use crate::store::{MemStore, Source};
use crate::transfer::MessageReader;
use crate::transfer::Progress;
use crate::transfer::SendError;
use crate::transfer::SendMeter;

/// The whole of a file.
#[derive(Debug)]
pub(super) struct Small {
    contents: Bytes,
    hash: Hash,
}

impl Small {
    pub(super) async fn read(
        runtime: &dyn Runtime,
        mut source: Box<dyn Source>,
    ) -> Result<Self, TransferError> {
        let read = move || {
            let mut tree = TreeHasher::new(source.size(), Prefix::default());
            let mut pieces = Vec::new();
            while let Some(left) = usize::try_from(tree.left_in_block())
                .ok()
                .filter(|&left| left > 0)
            {
                let piece = source.read(left).map_err(SendError::Store)?;
                if piece.is_empty() {
                    return Err(SendError::Changed);
                }
                tree.update(&piece);
                pieces.push(piece);
            }
            Ok(Self {
                contents: joined(pieces),
                hash: tree.root().ok_or(SendError::Changed)?,
            })
        };
        Ok(spawn_blocking(runtime, read).await?)
    }
}

/// Mostly there is but one piece, and then nothing is copied.
fn joined(pieces: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(pieces) {
        Ok([whole]) => whole,
        Err(pieces) => pieces.concat().into(),
    }
}

impl Client {
    pub(super) async fn put_small(
        &mut self,
        request: Request,
        small: Small,
        progress: &dyn Progress,
        begun: Time,
    ) -> Result<Receipt, TransferError> {
        let Small { contents, hash } = small;
        let size = contents.len() as u64;
        let words = vec![contents.clone(), Bytes::copy_from_slice(hash.as_bytes())];
        let Begun { granted, stream } = self.request_saying(request, words).await?;
        progress.begin(size);
        let is_said = stream.is_some();
        let mut stream = match stream {
            Some(stream) => stream,
            None => self.open_data(&granted, false, None).await?,
        };
        let sent = if is_said {
            self.verdict(&mut stream, progress, (size, hash)).await
        } else {
            let source = MemStore::source(contents);
            let sent = self.send(&mut stream, source, Prefix::default(), progress);
            sent.await.map(drop)
        };
        match sent {
            Ok(()) => Ok(self.receipt(stream, size, 0, hash, begun).await),
            Err(error) => {
                stream.reset(error.code().reset_reason());
                Err(error)
            }
        }
    }

    /// Waits until a file that was written already is whole at the server.
    async fn verdict(
        &self,
        stream: &mut Stream,
        progress: &dyn Progress,
        (size, hash): (u64, Hash),
    ) -> Result<(), TransferError> {
        let mut messages = MessageReader::new(progress);
        let mut meter = SendMeter::new(&self.runtime, stream, progress, size);
        self.judged(stream, &mut messages, &mut meter, (size, hash))
            .await?;
        progress.verified(size);
        Ok(())
    }
}
