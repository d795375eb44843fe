//! The sender's loop: file → stream.
//!
//! The next piece of the file is read and hashed while the one before is written to the stream.
//! The hash of every block follows the block on the stream.

use blake3::Hash;
use bytes::Bytes;
use lftp_transport::{Runtime, Stream, spawn_blocking};

use super::PIECE_BYTES;
use super::error::SendError;
use super::message_reader::MessageReader;
use super::recheck::{Recheck, send_held};
use crate::protocol::blocks::{BlockHash, TreeHasher};
use crate::protocol::channel;
use crate::store::{Source, SourceBlocks};

/// A file and its hash so far; moves to a blocking thread and back.
#[derive(Debug)]
struct FileReader {
    source: Box<dyn Source>,
    tree: TreeHasher,
}

/// Bytes of the file, and at the end of a block the block's hash.
type Piece = (Bytes, Option<BlockHash>);

impl FileReader {
    async fn next(mut self, runtime: &dyn Runtime) -> Result<(Self, Option<Piece>), SendError> {
        let left = self.tree.left_in_block();
        if left == 0 {
            return Ok((self, None));
        }
        spawn_blocking(runtime, move || {
            let max = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
            let piece = self.source.read(max).map_err(SendError::Store)?;
            // The announced size is part of the hash tree: a file that shrank cannot be finished.
            if piece.is_empty() {
                return Err(SendError::Changed);
            }
            let hash = self.tree.update(&piece);
            Ok((self, Some((piece, hash))))
        })
        .await
    }
}

/// Sends the file and its hashes from behind the `held` first blocks, where the source is
/// positioned, and of those the ones that differ; returns the hash of the whole file. Reads the
/// receiver's `messages` on the way. Never times out; the caller watches for a stall.
pub(crate) async fn send_file(
    runtime: &dyn Runtime,
    stream: &mut Stream,
    source: Box<dyn Source>,
    held: u64,
    messages: &mut MessageReader<'_>,
) -> Result<Hash, SendError> {
    let tree = TreeHasher::behind(source.size(), held);
    let mut first = Vec::new();
    let FileReader { source, tree } = if held > 0 {
        let reader = source.reopen().map_err(SendError::Store)?;
        // A second handle: the rest is read in sequence by the first while this one reads the
        // beginning.
        let mut recheck = Recheck::new(SourceBlocks::new(reader), held);
        let rest = send_blocks(runtime, stream, FileReader { source, tree }, messages);
        let reader = recheck.beside(runtime, rest).await?;
        first = send_held(runtime, stream, recheck, messages).await?;
        reader
    } else {
        send_blocks(runtime, stream, FileReader { source, tree }, messages).await?
    };
    // What was read while it was written to is no state that the file ever had.
    let changed = spawn_blocking(runtime, move || source.has_changed()).await;
    if changed.map_err(SendError::Store)? {
        return Err(SendError::Changed);
    }
    let hash = tree.root(&first).ok_or(SendError::Changed)?;
    channel::write(stream, Bytes::copy_from_slice(hash.as_bytes())).await?;
    Ok(hash)
}

/// Sends the source to its end, and returns it with its hashes.
async fn send_blocks(
    runtime: &dyn Runtime,
    stream: &mut Stream,
    reader: FileReader,
    messages: &mut MessageReader<'_>,
) -> Result<FileReader, SendError> {
    let (mut reader, mut piece) = reader.next(runtime).await?;
    while let Some((bytes, hash)) = piece {
        let write = async {
            channel::write(stream, bytes).await?;
            if let Some(BlockHash(hash)) = hash {
                channel::write(stream, Bytes::copy_from_slice(&hash)).await?;
            }
            messages.poll_messages(stream)
        };
        // One piece ahead and no more: memory is two pieces, whatever is slower.
        let ((), next) = tokio::try_join!(write, reader.next(runtime))?;
        (reader, piece) = next;
    }
    Ok(reader)
}
