//! The sender's loop: file → stream.
//!
//! One piece of the file is read beside the network's work on the one before, and hashed on the
//! way. The hash of every block follows the block on the stream.

use blake3::Hash;
use bytes::Bytes;
use lftp_transport::{Runtime, Stream, spawn_blocking};

use super::PIECE_BYTES;
use super::error::SendError;
use super::message_reader::Hearing;
use crate::protocol::blocks::{BlockHash, Prefix, TreeHasher};
use crate::protocol::channel;
use crate::store::Source;

/// A file and what has been hashed of it; moves to a blocking thread and back.
#[derive(Debug)]
struct Reading {
    source: Box<dyn Source>,
    tree: TreeHasher,
}

/// What goes onto the stream next: bytes of the file, and at the end of a block its hash.
type Piece = (Bytes, Option<BlockHash>);

impl Reading {
    async fn next(mut self, runtime: &dyn Runtime) -> Result<(Self, Option<Piece>), SendError> {
        let left = self.tree.left_in_block();
        if left == 0 {
            return Ok((self, None));
        }
        spawn_blocking(runtime, move || {
            let max = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
            let piece = self.source.read(max).map_err(SendError::Store)?;
            if piece.is_empty() {
                return Err(SendError::Changed);
            }
            let hash = self.tree.update(&piece);
            Ok((self, Some((piece, hash))))
        })
        .await
    }
}

/// Sends the file behind the `prefix`, where the source stands already, and its hashes. What
/// the receiver says meanwhile is `heard`. Standstill is for the caller to notice.
pub(crate) async fn send_file(
    runtime: &dyn Runtime,
    stream: &mut Stream,
    source: Box<dyn Source>,
    prefix: Prefix,
    heard: &mut Hearing<'_>,
) -> Result<Hash, SendError> {
    let tree = TreeHasher::new(source.size(), prefix);
    let reading = Reading { source, tree };
    let (mut reading, mut piece) = reading.next(runtime).await?;
    while let Some((bytes, hash)) = piece {
        let write = async {
            channel::write(stream, bytes).await?;
            if let Some(BlockHash(hash)) = hash {
                channel::write(stream, Bytes::copy_from_slice(&hash)).await?;
            }
            Ok(heard.listen(stream)?)
        };
        let ((), next) = tokio::try_join!(write, reading.next(runtime))?;
        (reading, piece) = next;
    }
    let hash = reading.tree.root().ok_or(SendError::Changed)?;
    channel::write(stream, Bytes::copy_from_slice(hash.as_bytes())).await?;
    Ok(hash)
}
