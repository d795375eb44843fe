//! The sink of a file that cannot be kept: its bytes have to be read to reach the files behind it.

use crate::protocol::Attributes;
use crate::protocol::blocks::{self, BlockHash};
use crate::store::{BlockReader, OnDisk, Sink, StoreError, Stored};

/// Accepts everything and keeps nothing.
#[derive(Debug)]
pub(super) struct NullSink;

impl Sink for NullSink {
    fn write(&mut self, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn block_verified(&mut self, _: BlockHash) -> Result<(), StoreError> {
        Ok(())
    }

    /// It is never resumed.
    fn reread(&self) -> Result<Box<dyn BlockReader>, StoreError> {
        Err(StoreError::no_seek(0))
    }

    fn replace_block(&mut self, index: u64, _: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::no_seek(blocks::offset(index)))
    }

    fn set_attributes(&mut self, _: Attributes) {}

    fn on_disk(&self) -> OnDisk {
        OnDisk::default()
    }

    fn store_synced(&mut self) {}

    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        None
    }

    fn discard(self: Box<Self>) {}

    fn commit(self: Box<Self>) -> Result<Stored, StoreError> {
        Ok(Stored::default())
    }
}
