//! A sink that something else depends on for as long as the file is open.

use std::fmt;

use crate::protocol::Attributes;
use crate::protocol::blocks::BlockHash;
use crate::store::{BlockReader, Sink, StoreError};

/// What accompanies a sink and is dropped after it.
pub(super) trait SinkGuard: Send + fmt::Debug + 'static {
    /// Called before `bytes` more are written.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when they must not be written.
    fn before_write(&mut self, bytes: u64) -> Result<(), StoreError>;

    /// Called when the file was discarded.
    fn discarded(&mut self);

    /// Called when the file got its name, or failed to.
    fn committed(&mut self, has_name: bool);
}

/// A sink and its guard. The order of the fields matters: the file is closed before the guard
/// goes, so a transfer that waits for the guard finds the file closed.
#[derive(Debug)]
pub(super) struct GuardedSink<G> {
    sink: Box<dyn Sink>,
    guard: G,
}

impl<G: SinkGuard> GuardedSink<G> {
    pub(super) fn boxed(sink: Box<dyn Sink>, guard: G) -> Box<dyn Sink> {
        Box::new(Self { sink, guard })
    }
}

impl<G: SinkGuard> Sink for GuardedSink<G> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.guard.before_write(bytes.len() as u64)?;
        self.sink.write(bytes)
    }

    fn block_verified(&mut self, hash: BlockHash) -> Result<(), StoreError> {
        self.sink.block_verified(hash)
    }

    fn reread(&self) -> Result<Box<dyn BlockReader>, StoreError> {
        self.sink.reread()
    }

    /// The bytes take the place of as many others, so the guard is not asked.
    fn replace_block(&mut self, index: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.sink.replace_block(index, bytes)
    }

    fn set_attributes(&mut self, attributes: Attributes) -> Result<(), StoreError> {
        self.sink.set_attributes(attributes)
    }

    fn store_synced(&mut self) {
        self.sink.store_synced();
    }

    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        self.sink.flush()
    }

    fn discard(self: Box<Self>) {
        let Self { sink, mut guard } = *self;
        sink.discard();
        guard.discarded();
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { sink, mut guard } = *self;
        let committed = sink.commit();
        guard.committed(committed.is_ok());
        committed
    }
}
