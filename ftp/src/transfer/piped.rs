//! A file whose length is known only at its end, read from a pipe.
//!
//! ```text
//! +-----------------------+-----------------+----------------+
//! | length, 4, big-endian | that many bytes | their hash, 32 |   once a block; full ones but the last
//! +-----------------------+-----------------+----------------+
//! | 0, 4 | hash of all, 32 |                                      at the end
//! +------+-----------------+
//! ```
//!
//! Blocks and hashes are those of a file of known length. A block is compared before it is
//! written. A pipe cannot be read again, so its transfer cannot be resumed.

use std::io::{self, Read};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use blake3::Hash;
use bytes::{BufMut, Bytes, BytesMut};
use lftp_transport::{Runtime, Stream, spawn_blocking};

use super::error::{ReceiveError, SendError};
use super::message_reader::MessageReader;
use super::receive::{ReceivedFile, fill, read_hash, report};
use super::send_meter::SendMeter;
use super::watchdog::Watchdog;
use crate::protocol::blocks::{BLOCK_BYTES, BlockHash, OpenEndedHasher};
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{HASH_BYTES, MessageError};
use crate::store::{Sink, StoreError};

/// Bytes of the length before a block.
const LENGTH_BYTES: usize = 4;

/// Source of the bytes.
pub(crate) type Pipe = Box<dyn Read + Send>;

/// A pipe and its hash so far; moves to a blocking thread and back.
struct PipeReader {
    pipe: Pipe,
    hasher: OpenEndedHasher,
    bytes: u64,
}

impl PipeReader {
    /// Reads the next block with its length and hash; `None` at the end.
    async fn next(mut self, runtime: &dyn Runtime) -> Result<(Self, Option<Bytes>), SendError> {
        spawn_blocking(runtime, move || {
            let mut framed = vec![0; LENGTH_BYTES];
            // Whole blocks, however little a read of the pipe returns: the hash is that of a file
            // of known length.
            let mut block = Read::by_ref(&mut self.pipe).take(BLOCK_BYTES);
            block.read_to_end(&mut framed).map_err(failed)?;
            let (length, block) = framed.split_at_mut(LENGTH_BYTES);
            if block.is_empty() {
                return Ok((self, None));
            }
            length.copy_from_slice(&u32::try_from(block.len()).unwrap_or(0).to_be_bytes());
            self.bytes += block.len() as u64;
            let BlockHash(hash) = self.hasher.push(block);
            framed.extend_from_slice(&hash);
            Ok((self, Some(Bytes::from(framed))))
        })
        .await
    }
}

fn failed(error: io::Error) -> SendError {
    SendError::Store(StoreError::from_io("standard input", error))
}

/// Sends what the pipe delivers, and returns its length and hash. The pipe may be idle for as
/// long as it likes; the connection must not stall for longer than `stall_limit`.
pub(crate) async fn send_piped(
    runtime: &dyn Runtime,
    stream: &mut Stream,
    pipe: Pipe,
    (meter, stall_limit): (&mut SendMeter<'_>, Duration),
    messages: &mut MessageReader<'_>,
) -> Result<(u64, Hash), SendError> {
    let mut reader = PipeReader {
        pipe,
        hasher: OpenEndedHasher::default(),
        bytes: 0,
    };
    let mut next = Some(Bytes::new());
    while let Some(block) = next {
        // Read while the last block is written: neither the pipe nor the network waits for the
        // other.
        let mut read = pin!(reader.next(runtime));
        let already = {
            let mut write = pin!(async {
                let written = meter.follow(stall_limit, channel::write(stream, block));
                written.await.map_err(ChannelError::from)??;
                messages.poll_messages(stream)
            });
            tokio::select! {
                biased;
                written = &mut write => {
                    written?;
                    None
                }
                // The write is finished whatever was read, or a part of the block would be missing
                // on the stream.
                read = &mut read => {
                    write.await?;
                    Some(read?)
                }
            }
        };
        (reader, next) = match already {
            Some(read) => read,
            // The pipe is slower than the network. Only the receiver can end the wait: the server
            // may have been stopped, or have no space left.
            None => tokio::select! {
                biased;
                read = &mut read => read?,
                error = messages.early_reply(stream) => return Err(error),
            },
        };
    }
    // A length of 0 ends the stream; the receiver could not tell a lost connection from the end of
    // the pipe otherwise.
    let hash = reader.hasher.finish();
    let mut end = BytesMut::from(&[0; LENGTH_BYTES][..]);
    end.put_slice(hash.as_bytes());
    channel::write(stream, end.freeze()).await?;
    Ok((reader.bytes, hash))
}

/// Receives a piped file, and reports every block to the sender.
pub(crate) async fn receive_piped(
    runtime: &Arc<dyn Runtime>,
    stream: &mut Stream,
    sink: Box<dyn Sink>,
    watchdog: &mut Watchdog,
) -> Result<ReceivedFile, ReceiveError> {
    let mut writer = BlockWriter {
        sink,
        hasher: OpenEndedHasher::default(),
        bytes: 0,
    };
    let mut block = BytesMut::new();
    loop {
        let mut length = [0; LENGTH_BYTES];
        let read = watchdog.step(stream.read_exact(&mut length)).await;
        read.map_err(ChannelError::from)?
            .map_err(ChannelError::from)?;
        let length = u64::from(u32::from_be_bytes(length));
        if length == 0 {
            break;
        }
        // Only the last block may be short, or the hashes would not be those of the file.
        if length > BLOCK_BYTES || !writer.bytes.is_multiple_of(BLOCK_BYTES) {
            let error = MessageError::OutOfPlace("a block of the wrong length");
            return Err(ChannelError::from(error).into());
        }
        block = fill(
            watchdog,
            stream,
            block,
            usize::try_from(length).unwrap_or(0),
            |_| {},
        )
        .await?;
        let hash = BlockHash(read_hash(watchdog, stream).await?);
        (writer, block) = writer.next(&**runtime, block, hash).await?;
        report(watchdog, stream, writer.bytes).await?;
        if let Some(flush) = writer.sink.flush() {
            runtime.spawn(runtime.spawn_blocking(flush));
        }
    }
    let expected: [u8; HASH_BYTES] = read_hash(watchdog, stream).await?;
    let hash = writer.hasher.finish();
    // Every block was right, so blocks were lost, repeated or moved.
    if hash != expected {
        return Err(ReceiveError::Integrity);
    }
    Ok(ReceivedFile::new(writer.sink, writer.bytes, hash))
}

/// A file and its hash so far; moves to a blocking thread and back.
struct BlockWriter {
    sink: Box<dyn Sink>,
    hasher: OpenEndedHasher,
    bytes: u64,
}

impl BlockWriter {
    /// Compares and writes a block, and returns the empty buffer.
    async fn next(
        mut self,
        runtime: &dyn Runtime,
        mut block: BytesMut,
        expected: BlockHash,
    ) -> Result<(Self, BytesMut), ReceiveError> {
        spawn_blocking(runtime, move || {
            // Compared before it is written, unlike in a file of known length: a partial file of a
            // pipe cannot be resumed, and so need not hold anything unverified.
            if self.hasher.push(&block) != expected {
                return Err(ReceiveError::Integrity);
            }
            self.sink.write(&block).map_err(ReceiveError::Store)?;
            self.bytes += block.len() as u64;
            block.clear();
            Ok((self, block))
        })
        .await
    }
}
