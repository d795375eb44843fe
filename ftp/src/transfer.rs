//! The two loops a file goes through: file → stream and stream → file.
//!
//! Both read or write one block of the file beside the network's work on the next, and hash
//! on the way. The hash follows the file on the stream; only a file whose size and hash are
//! the sender's gets its name.

use std::sync::Arc;
use std::time::Duration;

use blake3::{Hash, Hasher};
use bytes::{Bytes, BytesMut};
use lftp_transport::{Runtime, Stream, unblock};

use crate::code::Code;
use crate::link::{self, LinkError};
use crate::message::Whole;
use crate::progress::Progress;
use crate::store::{Sink, Source, StoreError};
use crate::watchdog::Watchdog;

/// What is read from or written to a file at once: enough that the way to another thread and
/// back costs nothing, and for every lane of BLAKE3.
const BLOCK_BYTES: usize = 1 << 20;

/// Why a file was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the file cannot be read: {0}")]
    Store(StoreError),
    #[error("the file ended before the size it had at the beginning")]
    Changed,
}

impl SendError {
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Link(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Changed => Code::SourceChanged,
        }
    }
}

/// Why a file was not received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the file cannot be written: {0}")]
    Store(StoreError),
    #[error("what arrived is not what was sent")]
    Integrity,
}

impl ReceiveError {
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Link(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Integrity => Code::Integrity,
        }
    }
}

/// A file and what has been hashed of it; moves to a blocking thread and back.
#[derive(Debug)]
struct Reading {
    source: Box<dyn Source>,
    hasher: Hasher,
    left: u64,
}

impl Reading {
    async fn next(mut self, runtime: &dyn Runtime) -> Result<(Self, Option<Bytes>), SendError> {
        if self.left == 0 {
            return Ok((self, None));
        }
        unblock(runtime, move || {
            let max = usize::try_from(self.left)
                .unwrap_or(usize::MAX)
                .min(BLOCK_BYTES);
            let block = self.source.read(max).map_err(SendError::Store)?;
            if block.is_empty() {
                return Err(SendError::Changed);
            }
            self.hasher.update(&block);
            self.left -= block.len() as u64;
            Ok((self, Some(block)))
        })
        .await
    }
}

/// Sends the file and its hash. Standstill is for the caller to notice.
pub(crate) async fn send_file(
    runtime: &dyn Runtime,
    stream: &mut Stream,
    source: Box<dyn Source>,
) -> Result<Hash, SendError> {
    let left = source.size();
    let reading = Reading {
        source,
        hasher: Hasher::new(),
        left,
    };
    let (mut reading, mut block) = reading.next(runtime).await?;
    while let Some(bytes) = block {
        let write = async { Ok(link::write(stream, bytes).await?) };
        let ((), next) = tokio::try_join!(write, reading.next(runtime))?;
        (reading, block) = next;
    }
    let hash = reading.hasher.finalize();
    link::write(stream, Bytes::copy_from_slice(hash.as_bytes())).await?;
    Ok(hash)
}

/// A file and what has been hashed of it; moves to a blocking thread and back.
#[derive(Debug)]
struct Writing {
    sink: Box<dyn Sink>,
    hasher: Hasher,
}

impl Writing {
    /// Writes the block and gives the buffer back, empty.
    async fn next(
        mut self,
        runtime: &dyn Runtime,
        mut block: BytesMut,
    ) -> Result<(Self, BytesMut), ReceiveError> {
        if block.is_empty() {
            return Ok((self, block));
        }
        unblock(runtime, move || {
            self.hasher.update(&block);
            self.sink.write(&block).map_err(ReceiveError::Store)?;
            block.clear();
            Ok((self, block))
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
}

impl Received {
    /// Gives the file its name; what is to be said to the sender then.
    pub(crate) async fn commit(self, runtime: &dyn Runtime) -> Result<Whole, ReceiveError> {
        let Self { sink, hash, bytes } = self;
        unblock(runtime, move || sink.commit())
            .await
            .map_err(ReceiveError::Store)?;
        Ok(Whole {
            bytes,
            hash: hash.to_hex().to_string(),
        })
    }
}

/// Receives a file of `size` bytes and its hash, and compares. Nothing may stand still for
/// much longer than `stall_limit`.
pub(crate) async fn receive_file(
    runtime: &Arc<dyn Runtime>,
    stream: &mut Stream,
    sink: Box<dyn Sink>,
    size: u64,
    stall_limit: Duration,
    progress: &dyn Progress,
) -> Result<Received, ReceiveError> {
    let mut writing = Writing {
        sink,
        hasher: Hasher::new(),
    };
    let mut watchdog = Watchdog::new(runtime, stall_limit);
    let mut received = 0;
    let (mut filled, mut spare) = (BytesMut::new(), BytesMut::new());
    loop {
        let want = usize::try_from(size - received)
            .unwrap_or(usize::MAX)
            .min(BLOCK_BYTES);
        let at = |len: usize| progress.at(received + len as u64);
        let fill = async { Ok(fill(&mut watchdog, stream, spare, want, at).await?) };
        let write = writing.next(&**runtime, filled);
        (filled, (writing, spare)) = tokio::try_join!(fill, write)?;
        if let Some(flush) = writing.sink.flush() {
            runtime.spawn(runtime.spawn_blocking(flush));
        }
        received += filled.len() as u64;
        if filled.is_empty() {
            break;
        }
    }
    let expected = watchdog
        .step(link::read_hash(stream))
        .await
        .map_err(LinkError::from)??;
    let hash = writing.hasher.finalize();
    if hash != expected {
        return Err(ReceiveError::Integrity);
    }
    Ok(Received {
        sink: writing.sink,
        hash,
        bytes: received,
    })
}

/// Fills an empty buffer with the next `want` bytes.
async fn fill(
    watchdog: &mut Watchdog,
    stream: &mut Stream,
    mut block: BytesMut,
    want: usize,
    at: impl Fn(usize),
) -> Result<BytesMut, LinkError> {
    block.reserve(want);
    while block.len() < want {
        let chunk = watchdog
            .step(stream.read_chunk(want - block.len()))
            .await??;
        block.extend_from_slice(&chunk.ok_or(LinkError::WentAway)?);
        at(block.len());
    }
    Ok(block)
}
