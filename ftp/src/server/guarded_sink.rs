//! A sink that something else depends on for as long as the file is open.

use std::fmt;
use std::io;

use crate::protocol::Attributes;
use crate::protocol::blocks::BlockHash;
use crate::store::{BlockReader, OnDisk, Sink, StoreError, Stored};

/// What accompanies a sink and is dropped after it. A sink ends in one of three ways, which the
/// guard carries out.
pub(super) trait SinkGuard: Send + fmt::Debug + 'static {
    /// Called before `bytes` more are written.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when they must not be written.
    fn before_write(&mut self, bytes: u64) -> Result<(), StoreError>;

    /// Gives the file its name.
    ///
    /// # Errors
    ///
    /// Those of [`Sink::commit`].
    fn commit(&mut self, sink: Box<dyn Sink>) -> Result<Stored, StoreError>;

    /// Discards the file.
    fn discard(&mut self, sink: Box<dyn Sink>);

    /// Drops the sink of an interrupted transfer.
    fn interrupt(&mut self, sink: Box<dyn Sink>);
}

/// A sink and its guard. The file is closed before the guard goes, so a transfer that waits for
/// the guard finds the file closed.
#[derive(Debug)]
pub(super) struct GuardedSink<G: SinkGuard> {
    /// `None` once it has ended.
    sink: Option<Box<dyn Sink>>,
    guard: G,
}

impl<G: SinkGuard> GuardedSink<G> {
    pub(super) fn boxed(sink: Box<dyn Sink>, guard: G) -> Box<dyn Sink> {
        Box::new(Self {
            sink: Some(sink),
            guard,
        })
    }

    fn sink(&mut self) -> Result<&mut dyn Sink, StoreError> {
        match &mut self.sink {
            Some(sink) => Ok(&mut **sink),
            None => Err(closed()),
        }
    }
}

fn closed() -> StoreError {
    StoreError::from_io("the file", io::ErrorKind::NotConnected.into())
}

impl<G: SinkGuard> Sink for GuardedSink<G> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.guard.before_write(bytes.len() as u64)?;
        self.sink()?.write(bytes)
    }

    fn block_verified(&mut self, hash: BlockHash) -> Result<(), StoreError> {
        self.sink()?.block_verified(hash)
    }

    fn reread(&self) -> Result<Box<dyn BlockReader>, StoreError> {
        self.sink.as_ref().ok_or_else(closed)?.reread()
    }

    /// The bytes take the place of as many others, so the guard is not asked.
    fn replace_block(&mut self, index: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.sink()?.replace_block(index, bytes)
    }

    fn set_attributes(&mut self, attributes: Attributes) {
        if let Some(sink) = &mut self.sink {
            sink.set_attributes(attributes);
        }
    }

    fn on_disk(&self) -> OnDisk {
        let sink = self.sink.as_ref();
        sink.map_or_else(OnDisk::default, |sink| sink.on_disk())
    }

    fn store_synced(&mut self) {
        if let Some(sink) = &mut self.sink {
            sink.store_synced();
        }
    }

    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        self.sink.as_mut()?.flush()
    }

    fn discard(mut self: Box<Self>) {
        if let Some(sink) = self.sink.take() {
            self.guard.discard(sink);
        }
    }

    fn commit(mut self: Box<Self>) -> Result<Stored, StoreError> {
        let sink = self.sink.take().ok_or_else(closed)?;
        self.guard.commit(sink)
    }
}

impl<G: SinkGuard> Drop for GuardedSink<G> {
    fn drop(&mut self) {
        if let Some(sink) = self.sink.take() {
            self.guard.interrupt(sink);
        }
    }
}
