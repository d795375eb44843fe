//! The peers' transfer protocol: a file on a byte stream as its length, its bytes and their
//! hash, and the receiver's confirmation.
//!
//! ```text
//! put: client ─ 'p' index ─ file ─▶ server ─ '1' or '0' ─▶ client
//! get: client ─ 'g' index ─▶ server ─ file ─▶ client
//! ```

use std::future::Future;

use bytes::Bytes;

use crate::scenario::Operation;

/// Bytes read or written at once.
const CHUNK_BYTES: usize = 32 << 10;

/// The receiver's confirmation that the hash matches.
const INTACT: u8 = b'1';
const BROKEN: u8 = b'0';

/// One client's request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) index: usize,
    pub(super) contents: Bytes,
}

/// A reliable byte stream in both directions.
pub(super) trait ByteStream: Send {
    /// Takes all of the bytes, once there is room for them.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), String>> + Send;

    /// Reads some bytes; zero at the end of the stream.
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, String>> + Send;
}

/// Runs the client's side; returns true if the receiver's file equals the sender's.
pub(super) async fn client(
    stream: &mut impl ByteStream,
    request: &Request,
) -> Result<bool, String> {
    let mut header = [0; 9];
    header[1..].copy_from_slice(&(request.index as u64).to_le_bytes());
    match request.operation {
        Operation::Put => {
            header[0] = b'p';
            stream.write(&header).await?;
            send(stream, &request.contents).await?;
            let mut confirmation = [0];
            read_exact(stream, &mut confirmation).await?;
            Ok(confirmation == [INTACT])
        }
        Operation::Get => {
            header[0] = b'g';
            stream.write(&header).await?;
            receive(stream).await
        }
    }
}

/// Runs the server's side; `files` are those that clients may get, by index.
pub(super) async fn server(stream: &mut impl ByteStream, files: &[Bytes]) -> Result<(), String> {
    let mut header = [0; 9];
    read_exact(stream, &mut header).await?;
    let [operation, index @ ..] = header;
    if operation == b'g' {
        let index = usize::try_from(u64::from_le_bytes(index)).unwrap_or(usize::MAX);
        let contents = files.get(index);
        let contents = contents.ok_or_else(|| format!("no transfer has the index {index}"))?;
        return send(stream, contents).await;
    }
    let intact = receive(stream).await?;
    stream.write(&[if intact { INTACT } else { BROKEN }]).await
}

async fn send(stream: &mut impl ByteStream, contents: &[u8]) -> Result<(), String> {
    stream.write(&(contents.len() as u64).to_le_bytes()).await?;
    for chunk in contents.chunks(CHUNK_BYTES) {
        stream.write(chunk).await?;
    }
    stream.write(blake3::hash(contents).as_bytes()).await
}

async fn receive(stream: &mut impl ByteStream) -> Result<bool, String> {
    let mut length = [0; 8];
    read_exact(stream, &mut length).await?;
    let length = u64::from_le_bytes(length);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut at = 0;
    while at < length {
        let room = usize::try_from(length - at).map_or(CHUNK_BYTES, |rest| rest.min(CHUNK_BYTES));
        let count = non_zero(stream.read(&mut buffer[..room]).await?)?;
        hasher.update(&buffer[..count]);
        at += count as u64;
    }
    let mut hash = [0; blake3::OUT_LEN];
    read_exact(stream, &mut hash).await?;
    Ok(hasher.finalize() == blake3::Hash::from_bytes(hash))
}

async fn read_exact(stream: &mut impl ByteStream, mut buffer: &mut [u8]) -> Result<(), String> {
    while !buffer.is_empty() {
        let count = non_zero(stream.read(buffer).await?)?;
        buffer = &mut buffer[count..];
    }
    Ok(())
}

fn non_zero(count: usize) -> Result<usize, String> {
    match count {
        0 => Err("the stream ended before the file".to_owned()),
        some => Ok(some),
    }
}
