//! The receiver's loop: stream → file.
//!
//! One piece of the file is written beside the network's work on the next, and hashed on the
//! way. The hash of every block is compared as it arrives; only a file whose size and hash are
//! the sender's gets its name.

use std::pin::pin;
use std::sync::Arc;

use blake3::Hash;
use bytes::{BufMut, Bytes, BytesMut};
use lftp_transport::{Runtime, Stream, spawn_blocking};

use super::PIECE_BYTES;
use super::error::ReceiveError;
use super::progress::Progress;
use super::watchdog::Watchdog;
use crate::protocol::blocks::{BLOCK_BYTES, BlockHash, Prefix, TreeHasher};
use crate::protocol::channel::{self, LinkError};
use crate::protocol::{self, Attributes, HASH_BYTES, Verified, Whole};
use crate::store::{Sink, StoreError};

/// A file and what has been hashed of it; moves to a blocking thread and back.
#[derive(Debug)]
struct Writing {
    sink: Box<dyn Sink>,
    tree: TreeHasher,
    /// Bytes from the beginning of the file that are verified and written.
    verified: u64,
}

impl Writing {
    /// Writes the piece and gives the buffer back, empty. At the end of a block compares.
    async fn next(
        mut self,
        runtime: &dyn Runtime,
        (mut piece, expected): (BytesMut, Option<BlockHash>),
    ) -> Result<(Self, BytesMut), ReceiveError> {
        if piece.is_empty() {
            return Ok((self, piece));
        }
        spawn_blocking(runtime, move || {
            let hash = self.tree.update(&piece);
            self.sink.write(&piece).map_err(ReceiveError::Store)?;
            piece.clear();
            if hash != expected {
                return Err(ReceiveError::Integrity);
            }
            // The last block is received again, should anything happen from here on.
            if let Some(hash) = hash.filter(|_| self.tree.root().is_none()) {
                self.sink.verified(hash).map_err(ReceiveError::Store)?;
                self.verified += BLOCK_BYTES;
            }
            Ok((self, piece))
        })
        .await
    }
}

/// A file that has arrived, is the one that was sent, and waits for its name.
#[derive(Debug)]
pub(crate) struct Received {
    sink: Box<dyn Sink>,
    /// Of the whole file.
    pub(crate) hash: Hash,
    /// Of the whole file.
    pub(crate) bytes: u64,
    /// What it keeps of its source besides the contents.
    pub(crate) attributes: Option<Attributes>,
}

impl Received {
    pub(crate) fn new(sink: Box<dyn Sink>, bytes: u64, hash: Hash) -> Self {
        Self {
            sink,
            hash,
            bytes,
            attributes: None,
        }
    }

    /// Gives the file its name where the store was settled meanwhile. Blocks.
    pub(crate) fn name_settled(self) -> Result<(), StoreError> {
        let mut sink = self.sink;
        if let Some(attributes) = self.attributes {
            sink.set_attributes(attributes)?;
        }
        sink.settled();
        sink.commit()
    }

    /// Gives the file its name; what is to be said to the sender then.
    pub(crate) async fn commit(self, runtime: &dyn Runtime) -> Result<Whole, ReceiveError> {
        let Self {
            sink, hash, bytes, ..
        } = self;
        spawn_blocking(runtime, move || sink.commit())
            .await
            .map_err(ReceiveError::Store)?;
        Ok(Whole {
            bytes,
            hash: hash.to_hex().to_string(),
        })
    }
}

/// What is to be received, and how.
pub(crate) struct Receiving<'a> {
    /// Of the whole file, in bytes.
    pub(crate) size: u64,
    /// What the sink holds of it.
    pub(crate) prefix: Prefix,
    pub(crate) progress: &'a dyn Progress,
    /// Whether the sender is told of every block.
    pub(crate) is_reported: bool,
}

/// Receives a file and its hashes, and compares.
pub(crate) async fn receive_file(
    runtime: &Arc<dyn Runtime>,
    stream: &mut Stream,
    sink: Box<dyn Sink>,
    plan: Receiving<'_>,
    watchdog: &mut Watchdog,
) -> Result<Received, ReceiveError> {
    let (size, progress) = (plan.size, plan.progress);
    let mut received = plan.prefix.bytes();
    let mut writing = Writing {
        sink,
        tree: TreeHasher::new(size, plan.prefix),
        verified: received,
    };
    let (mut filled, mut spare) = ((BytesMut::new(), None), BytesMut::new());
    loop {
        let left = (size - received).min(BLOCK_BYTES - received % BLOCK_BYTES);
        let want = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
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
        let before = writing.verified;
        let write = async {
            let written = writing.next(&**runtime, filled).await?;
            if written.0.verified > before {
                progress.verified(written.0.verified);
            }
            Ok::<_, ReceiveError>(written)
        };
        (filled, (writing, spare)) = both(fill, write).await?;
        if plan.is_reported && writing.verified > before {
            report(watchdog, stream, writing.verified).await?;
        }
        if let Some(flush) = writing.sink.flush() {
            runtime.spawn(runtime.spawn_blocking(flush));
        }
        received += filled.0.len() as u64;
        if filled.0.is_empty() {
            break;
        }
    }
    let expected = Hash::from_bytes(read_hash(watchdog, stream).await?);
    let Writing { sink, tree, .. } = writing;
    if tree.root() != Some(expected) {
        spawn_blocking(&**runtime, move || sink.discard()).await;
        return Err(ReceiveError::Integrity);
    }
    Ok(Received::new(sink, received, expected))
}

/// Both; where the network fails, the disk is waited for all the same: the next try of the file
/// is to find it closed.
async fn both<F, W>(
    fill: impl Future<Output = Result<F, ReceiveError>>,
    write: impl Future<Output = Result<W, ReceiveError>>,
) -> Result<(F, W), ReceiveError> {
    let (mut fill, mut write) = (pin!(fill), pin!(write));
    tokio::select! {
        biased;
        filled = &mut fill => {
            let written = write.await?;
            Ok((filled?, written))
        }
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
) -> Result<BytesMut, LinkError> {
    piece.reserve(want);
    while piece.len() < want {
        let chunk = watchdog
            .step(stream.read_chunk(want - piece.len()))
            .await??;
        piece.put(chunk.ok_or(LinkError::WentAway)?);
        at(piece.len());
    }
    Ok(piece)
}

pub(crate) async fn read_hash(
    watchdog: &mut Watchdog,
    stream: &mut Stream,
) -> Result<[u8; HASH_BYTES], LinkError> {
    let mut hash = [0; HASH_BYTES];
    watchdog.step(stream.read_exact(&mut hash)).await??;
    Ok(hash)
}

/// Tells the sender how much is verified.
pub(crate) async fn report(
    watchdog: &mut Watchdog,
    stream: &mut Stream,
    verified: u64,
) -> Result<(), LinkError> {
    let message = protocol::encode(&Verified { verified })?;
    watchdog.step(channel::write(stream, message)).await??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_piece_that_is_being_written_when_the_network_fails_is_waited_for() {
        let is_written = AtomicBool::new(false);
        let write = async {
            tokio::task::yield_now().await;
            is_written.store(true, Ordering::Relaxed);
            Ok(())
        };
        let fill = async { Err::<(), _>(LinkError::WentAway.into()) };
        let error = both(fill, write).await.unwrap_err();
        assert!(matches!(error, ReceiveError::Link(LinkError::WentAway)));
        assert!(is_written.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_disk_that_fails_is_not_kept_waiting_by_the_network() {
        let write = async { Err::<(), _>(ReceiveError::Integrity) };
        let fill = std::future::pending::<Result<(), _>>();
        assert!(matches!(
            both(fill, write).await,
            Err(ReceiveError::Integrity)
        ));
    }
}
