//! A file that a client asks to put: where it goes, and what exists of it already.

use std::sync::Arc;

use lftp_transport::Runtime;

use super::upload_locks::UploadLock;
use crate::protocol::blocks::BlockHash;
use crate::protocol::{Attributes, HeldBlocks, Name};
use crate::store::{
    CreateOptions, Origin, PartialOptions, ResumablePartial, Sink, Store, StoreError,
};
use crate::transfer::resume;

/// The parameters of a put.
#[derive(Debug)]
pub(super) struct PutRequest {
    pub(super) name: Name,
    pub(super) size: u64,
    pub(super) overwrite: bool,
    /// Fingerprint of the client's file, where the transfer can be resumed.
    pub(super) source: Option<String>,
    /// Bytes that a sparse file takes on the client's disk.
    pub(super) allocated: Option<u64>,
    /// Mode and time of the client's file.
    pub(super) attributes: Attributes,
}

/// A file that is open to be received.
#[derive(Debug)]
pub(super) struct OpenUpload {
    sink: Box<dyn Sink>,
    /// Hashes of the blocks that the sink holds.
    hashes: Vec<BlockHash>,
    request: PutRequest,
    store: Arc<dyn Store>,
}

impl PutRequest {
    /// Name that another transfer of the same file has as well; `None` where it cannot be
    /// resumed.
    pub(super) fn lock_key(&self) -> Option<String> {
        let source = self.source.as_deref()?;
        Some(format!("put {} {} {source}", self.name, self.size))
    }

    /// Name of the partial file. One for all that is put to the same name: whether the bytes are
    /// those of the source is found out by reading them, and what is held of an older source goes
    /// away with the next put.
    fn partial_key(&self) -> String {
        format!("put {}", self.name)
    }

    /// Opens the file, behind what an earlier transfer left of it. Blocks.
    pub(super) fn open(
        self,
        store: Arc<dyn Store>,
        upload_lock: Option<UploadLock>,
    ) -> Result<OpenUpload, StoreError> {
        let (sink, hashes) = match upload_lock {
            // The transfer before has not let go of the partial file, or there can be none: the
            // client is served all the same, by a file that is not resumable.
            None => {
                self.discard_partial(&*store);
                let options = CreateOptions::new(self.size, self.overwrite);
                (store.create(&self.name, options)?, Vec::new())
            }
            Some(upload_lock) => {
                let (sink, hashes) = match self.open_partial(&*store)? {
                    Some(partial) => (partial.sink, partial.hashes),
                    None => (self.create(&*store)?, Vec::new()),
                };
                (upload_lock.guard(sink), hashes)
            }
        };
        Ok(OpenUpload {
            sink,
            hashes,
            request: self,
            store,
        })
    }

    /// Removes what is held of an older source, unless another transfer is writing it.
    fn discard_partial(&self, store: &dyn Store) {
        let key = self.partial_key();
        let options = PartialOptions::new(&key, self.overwrite);
        // An error, if it matters, is reported when the file is created.
        if let Ok(Some(partial)) = store.open_partial(&self.name, options) {
            partial.sink.discard();
        }
    }

    fn open_partial(&self, store: &dyn Store) -> Result<Option<ResumablePartial>, StoreError> {
        let key = self.partial_key();
        let options = PartialOptions::new(&key, self.overwrite).of_size(self.size);
        store.open_partial(&self.name, options)
    }

    fn create(&self, store: &dyn Store) -> Result<Box<dyn Sink>, StoreError> {
        let options = CreateOptions::new(self.size, self.overwrite);
        let key = self.partial_key();
        match &self.source {
            Some(source) => {
                let origin = Origin {
                    key: &key,
                    source,
                    allocated: self.allocated,
                };
                store.create(&self.name, options.resumable(origin))
            }
            None => store.create(&self.name, options),
        }
    }
}

impl OpenUpload {
    pub(super) const fn size(&self) -> u64 {
        self.request.size
    }

    pub(super) const fn attributes(&self) -> Attributes {
        self.request.attributes
    }

    /// Describes what the server holds, for the client to compare.
    pub(super) fn held_blocks(&self, runtime: &dyn Runtime) -> Option<HeldBlocks> {
        resume::held_blocks(runtime, self.size(), &self.hashes)
    }

    /// Returns the sink and the number of blocks it continues behind. Blocks.
    pub(super) fn start(self, resume: bool) -> Result<(Box<dyn Sink>, u64), StoreError> {
        if resume || self.hashes.is_empty() {
            return Ok((self.sink, self.hashes.len() as u64));
        }
        // The client compared the blocks and has another file now: what is held is of no use.
        self.sink.discard();
        Ok((self.request.create(&*self.store)?, 0))
    }
}
