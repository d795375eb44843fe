//! The sink of a file that cannot be kept: its bytes have to be read to reach the files behind it.

use crate::protocol::Attributes;
use crate::protocol::blocks::BlockHash;
use crate::store::{Sink, StoreError};

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

    fn set_attributes(&mut self, _: Attributes) -> Result<(), StoreError> {
        Ok(())
    }

    fn store_synced(&mut self) {}

    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        None
    }

    fn discard(self: Box<Self>) {}

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}
