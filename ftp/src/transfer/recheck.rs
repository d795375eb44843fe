//! The blocks that an earlier transfer left, read and hashed again beside the network.
//!
//! No byte gets its final name that was not hashed on both ends in this very run. A resumed
//! transfer begins at once behind what the receiver holds; meanwhile each side hashes those blocks
//! again. When the rest has been sent, the sender sends its hashes of them, the receiver asks for
//! the blocks that are others on its disk, and only then follows the hash of the file.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use lftp_transport::{Runtime, Stream, spawn_blocking};
use parking_lot::Mutex;
use serde::Serialize;

use super::error::{ReceiveError, SendError};
use super::message_reader::MessageReader;
use super::receive::{fill, read_hash};
use super::watchdog::Watchdog;
use crate::protocol::blocks::{BLOCK_BYTES, BlockHash};
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{self, Again, Checked, MessageError};
use crate::store::{BlockReader, Sink, SourceBlocks, StoreError};

/// Reads the first blocks of a file, one after the other.
#[derive(Debug)]
pub(crate) struct Recheck<R> {
    reader: Arc<Mutex<R>>,
    hashes: Vec<Option<BlockHash>>,
    blocks: u64,
}

impl<R: BlockReader + 'static> Recheck<R> {
    /// Prepares to read the first `blocks` blocks.
    pub(crate) fn new(reader: R, blocks: u64) -> Self {
        Self {
            reader: Arc::new(Mutex::new(reader)),
            hashes: Vec::new(),
            blocks,
        }
    }

    fn is_done(&self) -> bool {
        self.hashes.len() as u64 == self.blocks
    }

    /// Hashes the next block. When this is dropped in the middle, the block is read again.
    async fn step(&mut self, runtime: &dyn Runtime) -> Result<(), StoreError> {
        // Shared with the blocking thread: a step that is dropped goes on there, and leaves the
        // reader usable.
        let (reader, index) = (Arc::clone(&self.reader), self.hashes.len() as u64);
        let hash = spawn_blocking(runtime, move || reader.lock().hash_block(index)).await?;
        self.hashes.push(hash);
        Ok(())
    }

    /// Runs `part` of the transfer, and hashes blocks for as long as that takes.
    pub(crate) async fn beside<T, E>(
        &mut self,
        runtime: &dyn Runtime,
        part: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut part = pin!(part);
        let hash = async {
            while !self.is_done() {
                // Reported at the end: the part may have something open that it has to close.
                if self.step(runtime).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            biased;
            // The rest of the hashes is computed later, by `hash`: the network does not wait for
            // the disk.
            done = &mut part => return done,
            () = hash => {}
        }
        part.await
    }

    /// Returns the hash of block `index`, once it is known. Must be called in ascending order.
    pub(crate) async fn hash(
        &mut self,
        runtime: &dyn Runtime,
        index: u64,
    ) -> Result<Option<BlockHash>, StoreError> {
        loop {
            let known = usize::try_from(index)
                .ok()
                .and_then(|at| self.hashes.get(at));
            if let Some(&known) = known {
                return Ok(known);
            }
            self.step(runtime).await?;
        }
    }
}

/// Blocks asked for in one message at most.
const MAX_AGAIN: usize = 1000;

/// Sends the hashes of the first blocks, then those blocks that the receiver asks for. Returns the
/// hashes.
pub(crate) async fn send_held(
    runtime: &dyn Runtime,
    stream: &mut Stream,
    mut recheck: Recheck<SourceBlocks>,
    messages: &mut MessageReader<'_>,
) -> Result<Vec<BlockHash>, SendError> {
    let mut first = Vec::new();
    for index in 0..recheck.blocks {
        let hash = recheck.hash(runtime, index).await;
        let hash = hash.map_err(SendError::Store)?.ok_or(SendError::Changed)?;
        first.push(hash);
        if first.len() as u64 == recheck.blocks {
            // Before the last hash is written: the question may come right behind it.
            messages.expect_again();
        }
        channel::write(stream, Bytes::copy_from_slice(&hash.0)).await?;
        messages.poll_messages(stream)?;
    }
    // In ascending order, so that no block is asked for twice.
    let mut next = 0;
    loop {
        let again = messages.again(stream).await?;
        if again.is_empty() {
            return Ok(first);
        }
        for index in again {
            // The index is the peer's.
            let known = usize::try_from(index).ok().and_then(|at| first.get(at));
            let Some(&hash) = known.filter(|_| index >= next) else {
                let error = MessageError::OutOfPlace("a block that cannot be sent again");
                return Err(ChannelError::from(error).into());
            };
            next = index + 1;
            let reader = Arc::clone(&recheck.reader);
            let read = spawn_blocking(runtime, move || reader.lock().read_block(index)).await;
            let block = read.map_err(SendError::Store)?.ok_or(SendError::Changed)?;
            // Read a second time: the source may have changed since its hash was sent.
            if BlockHash::of(index, &block) != hash {
                return Err(SendError::Changed);
            }
            channel::write(stream, Bytes::from(block)).await?;
            channel::write(stream, Bytes::copy_from_slice(&hash.0)).await?;
            messages.poll_messages(stream)?;
        }
    }
}

/// A reader to which an unreadable block is one that has to be sent again.
#[derive(Debug)]
pub(crate) struct Held(pub(crate) Box<dyn BlockReader>);

impl BlockReader for Held {
    fn hash_block(&mut self, index: u64) -> Result<Option<BlockHash>, StoreError> {
        let hash = self.0.hash_block(index);
        Ok(hash.unwrap_or_else(|error| {
            tracing::warn!(%error, index, "a block that is held cannot be read");
            None
        }))
    }
}

/// Compares the blocks that the sink holds with those of the sender, and replaces what differs.
/// Returns the sink and the sender's hashes.
pub(crate) async fn receive_held(
    runtime: &dyn Runtime,
    stream: &mut Stream,
    mut sink: Box<dyn Sink>,
    mut recheck: Recheck<Held>,
    watchdog: &mut Watchdog,
) -> Result<(Box<dyn Sink>, Vec<BlockHash>), ReceiveError> {
    let (mut first, mut differing) = (Vec::new(), VecDeque::new());
    for index in 0..recheck.blocks {
        let theirs = BlockHash(read_hash(watchdog, stream).await?);
        let ours = recheck.hash(runtime, index).await;
        // An unreadable block has no hash, and differs.
        if ours.map_err(ReceiveError::Store)? != Some(theirs) {
            differing.push_back(index);
        }
        first.push(theirs);
        let checked = Checked { checked: index + 1 };
        // For the sender's stall detection: while both sides read their disks nothing else crosses
        // the network.
        tell(watchdog, stream, &checked).await?;
    }
    if !differing.is_empty() {
        tracing::info!(
            blocks = differing.len(),
            "the source or the partial file has changed; these blocks are sent again"
        );
    }
    loop {
        // In parts that fit into a message; an empty one ends the questions.
        let again: Vec<u64> = differing.drain(..differing.len().min(MAX_AGAIN)).collect();
        let message = Again { again };
        tell(watchdog, stream, &message).await?;
        if message.again.is_empty() {
            return Ok((sink, first));
        }
        for index in message.again {
            let whole = usize::try_from(BLOCK_BYTES).unwrap_or(usize::MAX);
            let block = fill(watchdog, stream, BytesMut::new(), whole, |_| ()).await?;
            let said = BlockHash(read_hash(watchdog, stream).await?);
            let expected = usize::try_from(index).ok().and_then(|at| first.get(at));
            // A sender that names another hash now has another file.
            if expected != Some(&said) {
                return Err(ReceiveError::Integrity);
            }
            sink = spawn_blocking(runtime, move || {
                if BlockHash::of(index, &block) != said {
                    return Err(ReceiveError::Integrity);
                }
                sink.replace_block(index, &block)
                    .map_err(ReceiveError::Store)?;
                Ok(sink)
            })
            .await?;
        }
    }
}

async fn tell(
    watchdog: &mut Watchdog,
    stream: &mut Stream,
    message: &impl Serialize,
) -> Result<(), ChannelError> {
    let message = protocol::encode(message)?;
    watchdog.step(channel::write(stream, message)).await??;
    Ok(())
}
