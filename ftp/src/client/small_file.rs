//! `put` of a file of one block at most, which is sent together with the request.

use blake3::Hash;
use bytes::Bytes;
use lftp_transport::{Runtime, Stream, Time, spawn_blocking};

use super::early::GrantedTransfer;
use super::{Client, Receipt, TransferError};
use crate::protocol::Request;
use crate::protocol::blocks::TreeHasher;
use crate::store::{MemStore, Source};
use crate::transfer::MessageReader;
use crate::transfer::Progress;
use crate::transfer::SendError;
use crate::transfer::SendMeter;

/// The contents of a file and their hash.
#[derive(Debug)]
pub(super) struct SmallFile {
    contents: Bytes,
    hash: Hash,
}

impl SmallFile {
    pub(super) async fn read(
        runtime: &dyn Runtime,
        mut source: Box<dyn Source>,
    ) -> Result<Self, TransferError> {
        let read = move || {
            let mut tree = TreeHasher::new(source.size());
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
            // Read while it was written to, it is no state that the file ever had.
            if source.has_changed().map_err(SendError::Store)? {
                return Err(SendError::Changed);
            }
            Ok(Self {
                contents: joined(pieces),
                hash: tree.root(&[]).ok_or(SendError::Changed)?,
            })
        };
        Ok(spawn_blocking(runtime, read).await?)
    }
}

/// Joins the pieces; the usual single piece is not copied.
fn joined(pieces: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(pieces) {
        Ok([whole]) => whole,
        Err(pieces) => pieces.concat().into(),
    }
}

impl Client {
    pub(super) async fn put_small_file(
        &mut self,
        request: Request,
        small: SmallFile,
        progress: &dyn Progress,
        started_at: Time,
    ) -> Result<Receipt, TransferError> {
        let SmallFile { contents, hash } = small;
        let size = contents.len() as u64;
        let payload = vec![contents.clone(), Bytes::copy_from_slice(hash.as_bytes())];
        let GrantedTransfer { granted, stream } = self.request_sending(request, payload).await?;
        progress.begin(size);
        let is_sent = stream.is_some();
        let mut stream = match stream {
            Some(stream) => stream,
            // Another port was granted, or the early connection failed: sent again, as any file.
            None => self.open_data(&granted, false, None).await?,
        };
        let sent = if is_sent {
            self.confirm_sent(&mut stream, progress, (size, hash)).await
        } else {
            let source = MemStore::source(contents);
            let sent = self.send(&mut stream, source, 0, progress);
            sent.await.map(drop)
        };
        match sent {
            Ok(()) => Ok(self.receipt(stream, size, 0, hash, started_at).await),
            Err(error) => {
                stream.reset(error.code().reset_reason());
                Err(error)
            }
        }
    }

    /// Waits for the confirmation of a file whose data is already sent.
    async fn confirm_sent(
        &self,
        stream: &mut Stream,
        progress: &dyn Progress,
        (size, hash): (u64, Hash),
    ) -> Result<(), TransferError> {
        let mut messages = MessageReader::new(progress);
        let mut meter = SendMeter::new(&self.runtime, stream, progress, size);
        self.finish_put(stream, &mut messages, &mut meter, (size, hash))
            .await?;
        progress.verified(size);
        Ok(())
    }
}
