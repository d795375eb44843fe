//! The receiver's loop: stream → file.
//!
//! One piece of the file is hashed and written while the next one arrives. The hash of every
//! block is compared as it arrives; only a file whose size and hash are the sender's gets its
//! name.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use blake3::Hash;
use bytes::{BufMut, BytesMut};
use lftp_transport::{Runtime, Stream, spawn_blocking};

use super::PIECE_BYTES;
use super::error::ReceiveError;
use super::progress::Progress;
use super::recheck::{Held, Recheck, receive_held};
use super::watchdog::Watchdog;
use crate::protocol::blocks::{self, BLOCK_BYTES, BlockHash, TreeHasher};
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{self, Attributes, Confirmation, HASH_BYTES, Verified};
use crate::store::{Sink, StoreError, Stored};

/// A file and its hash so far; moves to a blocking thread and back.
#[derive(Debug)]
struct FileWriter {
    sink: Box<dyn Sink>,
    tree: TreeHasher,
    /// Bytes from the beginning of the file that are verified and written.
    verified: u64,
}

impl FileWriter {
    /// Writes a piece, compares the hash at the end of a block, and returns the empty buffer.
    async fn next(
        mut self,
        runtime: &dyn Runtime,
        (mut piece, expected): (BytesMut, Option<BlockHash>),
    ) -> Result<(Self, BytesMut), ReceiveError> {
        if piece.is_empty() {
            return Ok((self, piece));
        }
        spawn_blocking(runtime, move || {
            // Written before the block is verified, since a block is more than is worth holding in
            // memory. It counts as held only once it is verified.
            let hash = self.tree.update(&piece);
            self.sink.write(&piece).map_err(ReceiveError::Store)?;
            piece.clear();
            // Both are `None` within a block.
            if hash != expected {
                return Err(ReceiveError::Integrity);
            }
            // The last block is not recorded: whatever happens from here on, a resumed transfer
            // must have something left to receive, or it could not tell the file's hash.
            if let Some(hash) = hash.filter(|_| !self.tree.is_complete()) {
                self.sink
                    .block_verified(hash)
                    .map_err(ReceiveError::Store)?;
                self.verified += BLOCK_BYTES;
            }
            Ok((self, piece))
        })
        .await
    }
}

/// A file that arrived intact and has no name yet.
#[derive(Debug)]
pub(crate) struct ReceivedFile {
    sink: Box<dyn Sink>,
    /// Hash of the whole file.
    pub(crate) hash: Hash,
    /// Size of the whole file.
    pub(crate) bytes: u64,
    /// Mode and time of the source, to be set with the name.
    pub(crate) attributes: Attributes,
}

impl ReceivedFile {
    pub(crate) fn new(sink: Box<dyn Sink>, bytes: u64, hash: Hash) -> Self {
        Self {
            sink,
            hash,
            bytes,
            attributes: Attributes::default(),
        }
    }

    /// Gives the file its name after a [`Store::sync`](crate::store::Store::sync) that followed
    /// the last write. Blocks.
    pub(crate) fn commit_synced(self) -> Result<Stored, StoreError> {
        let mut sink = self.sink;
        // Before the name: a file that appears with the time of its arrival would be sent again
        // by the next run.
        sink.set_attributes(self.attributes);
        sink.store_synced();
        sink.commit()
    }

    /// Gives the file its name, and returns the confirmation for the sender.
    pub(crate) async fn commit(self, runtime: &dyn Runtime) -> Result<Confirmation, ReceiveError> {
        let Self {
            mut sink,
            hash,
            bytes,
            attributes,
        } = self;
        sink.set_attributes(attributes);
        let stored = spawn_blocking(runtime, move || sink.commit()).await;
        let stored = stored.map_err(ReceiveError::Store)?;
        if let Some(error) = stored.without_attributes {
            warn_without_attributes(&error);
        }
        Ok(Confirmation {
            bytes,
            hash: hash.to_hex().to_string(),
        })
    }
}

/// Warns, once per transfer, that files arrive without their modes or times.
pub(crate) fn warn_without_attributes(error: &io::Error) {
    tracing::warn!(
        %error,
        "the file system cannot keep the mode or the time of a file; it is stored without"
    );
}

/// Parameters of a file to be received.
pub(crate) struct ReceivePlan<'a> {
    /// Size of the whole file, in bytes.
    pub(crate) size: u64,
    /// Number of blocks that the sink holds already.
    pub(crate) held: u64,
    pub(crate) progress: &'a dyn Progress,
    /// True if every verified block is reported to the sender.
    pub(crate) reports_blocks: bool,
}

/// Receives a file and its hashes, and compares them. An interrupted file stays in the sink, for
/// a later transfer; one whose hash is wrong is discarded.
pub(crate) async fn receive_file(
    runtime: &Arc<dyn Runtime>,
    stream: &mut Stream,
    sink: Box<dyn Sink>,
    plan: ReceivePlan<'_>,
    watchdog: &mut Watchdog,
) -> Result<ReceivedFile, ReceiveError> {
    let (size, held) = (plan.size, plan.held);
    let reread = match held {
        // Nothing to read again: a new file is hashed as it arrives.
        0 => None,
        _ => Some(sink.reread().map_err(ReceiveError::Store)?),
    };
    let writer = FileWriter {
        sink,
        tree: TreeHasher::behind(size, held),
        verified: blocks::offset(held),
    };
    let rest = receive_blocks(runtime, stream, writer, plan, watchdog);
    let (sink, tree, first) = match reread {
        None => {
            let FileWriter { sink, tree, .. } = rest.await?;
            (sink, tree, Vec::new())
        }
        Some(reader) => {
            let mut recheck = Recheck::new(Held(reader), held);
            let FileWriter { sink, tree, .. } = recheck.beside(&**runtime, rest).await?;
            let (sink, first) = receive_held(&**runtime, stream, sink, recheck, watchdog).await?;
            (sink, tree, first)
        }
    };
    let expected = Hash::from_bytes(read_hash(watchdog, stream).await?);
    // Every block was verified by now, so this is a sender that contradicts itself. What it sent
    // is worth nothing to a later transfer either.
    if tree.root(&first) != Some(expected) {
        spawn_blocking(&**runtime, move || sink.discard()).await;
        return Err(ReceiveError::Integrity);
    }
    Ok(ReceivedFile::new(sink, size, expected))
}

/// Receives the blocks that the writer does not hold.
async fn receive_blocks(
    runtime: &Arc<dyn Runtime>,
    stream: &mut Stream,
    mut writer: FileWriter,
    plan: ReceivePlan<'_>,
    watchdog: &mut Watchdog,
) -> Result<FileWriter, ReceiveError> {
    let (size, progress) = (plan.size, plan.progress);
    let mut received = writer.verified;
    let (mut filled, mut spare) = ((BytesMut::new(), None), BytesMut::new());
    loop {
        // A piece never spans two blocks: the hash on the stream stands between them.
        let left = (size - received).min(BLOCK_BYTES - received % BLOCK_BYTES);
        let want = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        // The hash of the only block is the hash of the file, which is sent at the end anyway.
        let ends_block = size > BLOCK_BYTES && want > 0 && want as u64 == left;
        let at = |len: usize| progress.at(received + len as u64);
        let fill = async {
            let piece = fill(watchdog, stream, spare, want, at).await?;
            let hash = if ends_block {
                Some(BlockHash(read_hash(watchdog, stream).await?))
            } else {
                None
            };
            Ok((piece, hash))
        };
        let before = writer.verified;
        let write = async {
            let written = writer.next(&**runtime, filled).await?;
            if written.0.verified > before {
                progress.verified(written.0.verified);
            }
            Ok::<_, ReceiveError>(written)
        };
        (filled, (writer, spare)) = fill_and_write(fill, write).await?;
        // After the write: only what has left this program is reported.
        if plan.reports_blocks && writer.verified > before {
            report(watchdog, stream, writer.verified).await?;
        }
        if let Some(flush) = writer.sink.flush() {
            runtime.spawn(runtime.spawn_blocking(flush));
        }
        received += filled.0.len() as u64;
        // The turn after the last piece, which has written it.
        if filled.0.is_empty() {
            return Ok(writer);
        }
    }
}

/// Fills one buffer while another is written. When the network fails, the write is still waited
/// for: the next attempt must find the file closed.
async fn fill_and_write<F, W>(
    fill: impl Future<Output = Result<F, ReceiveError>>,
    write: impl Future<Output = Result<W, ReceiveError>>,
) -> Result<(F, W), ReceiveError> {
    let (mut fill, mut write) = (pin!(fill), pin!(write));
    tokio::select! {
        biased;
        filled = &mut fill => {
            // First the result of the write: a disk that is full explains a connection that was
            // closed.
            let written = write.await?;
            Ok((filled?, written))
        }
        // When the disk fails, the rest of the piece is not waited for: the network may be slow,
        // and the sender is to stop.
        written = &mut write => {
            let written = written?;
            Ok((fill.await?, written))
        }
    }
}

/// Fills an empty buffer with the next `want` bytes.
pub(crate) async fn fill(
    watchdog: &mut Watchdog,
    stream: &mut Stream,
    mut piece: BytesMut,
    want: usize,
    at: impl Fn(usize),
) -> Result<BytesMut, ChannelError> {
    piece.reserve(want);
    while piece.len() < want {
        let chunk = watchdog
            .step(stream.read_chunk(want - piece.len()))
            .await??;
        piece.put(chunk.ok_or(ChannelError::WentAway)?);
        at(piece.len());
    }
    Ok(piece)
}

pub(crate) async fn read_hash(
    watchdog: &mut Watchdog,
    stream: &mut Stream,
) -> Result<[u8; HASH_BYTES], ChannelError> {
    let mut hash = [0; HASH_BYTES];
    watchdog.step(stream.read_exact(&mut hash)).await??;
    Ok(hash)
}

/// Reports the verified bytes to the sender.
pub(crate) async fn report(
    watchdog: &mut Watchdog,
    stream: &mut Stream,
    verified: u64,
) -> Result<(), ChannelError> {
    let message = protocol::encode(&Verified { verified })?;
    watchdog.step(channel::write(stream, message)).await??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_write_in_progress_is_waited_for_when_the_network_fails() {
        let is_written = AtomicBool::new(false);
        let write = async {
            tokio::task::yield_now().await;
            is_written.store(true, Ordering::Relaxed);
            Ok(())
        };
        let fill = async { Err::<(), _>(ChannelError::WentAway.into()) };
        let error = fill_and_write(fill, write).await.unwrap_err();
        assert!(matches!(
            error,
            ReceiveError::Channel(ChannelError::WentAway)
        ));
        assert!(is_written.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_disk_failure_is_reported_without_waiting_for_the_network() {
        let write = async { Err::<(), _>(ReceiveError::Integrity) };
        let fill = std::future::pending::<Result<(), _>>();
        assert!(matches!(
            fill_and_write(fill, write).await,
            Err(ReceiveError::Integrity)
        ));
    }
}
