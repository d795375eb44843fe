//! A file on a byte stream: its length, its bytes, their hash; and the receiver's answer.
//!
//! ```text
//! put: client ─ 'p' index ─ letter ─▶ server ─ '1' or '0' ─▶ client
//! get: client ─ 'g' index ─▶ server ─ letter ─▶ client
//! ```

use std::future::Future;

use bytes::Bytes;

use crate::scenario::Way;

/// What is read or written at once.
const CHUNK_BYTES: usize = 32 << 10;

/// What the receiver says of a file that is as its sender said.
const INTACT: u8 = b'1';
const BROKEN: u8 = b'0';

/// What one client has to do.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) way: Way,
    pub(super) index: usize,
    pub(super) contents: Bytes,
}

/// A byte stream both ways.
pub(super) trait Pipe: Send {
    /// Takes all of the bytes, once there is room for them.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), String>> + Send;

    /// Gives some bytes; none at the stream's end.
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, String>> + Send;
}

/// The client's part. Whether the receiver's file is the sender's.
pub(super) async fn client(pipe: &mut impl Pipe, order: &Order) -> Result<bool, String> {
    let mut request = [0; 9];
    request[1..].copy_from_slice(&(order.index as u64).to_le_bytes());
    match order.way {
        Way::Put => {
            request[0] = b'p';
            pipe.write(&request).await?;
            send(pipe, &order.contents).await?;
            let mut answer = [0];
            read_exact(pipe, &mut answer).await?;
            Ok(answer == [INTACT])
        }
        Way::Get => {
            request[0] = b'g';
            pipe.write(&request).await?;
            receive(pipe).await
        }
    }
}

/// The server's part; `files` is what each client asks for, if it asks.
pub(super) async fn server(pipe: &mut impl Pipe, files: &[Bytes]) -> Result<(), String> {
    let mut request = [0; 9];
    read_exact(pipe, &mut request).await?;
    let [way, index @ ..] = request;
    if way == b'g' {
        let index = usize::try_from(u64::from_le_bytes(index)).unwrap_or(usize::MAX);
        let contents = files.get(index);
        let contents = contents.ok_or_else(|| format!("there is no transfer {index}"))?;
        return send(pipe, contents).await;
    }
    let intact = receive(pipe).await?;
    pipe.write(&[if intact { INTACT } else { BROKEN }]).await
}

async fn send(pipe: &mut impl Pipe, contents: &[u8]) -> Result<(), String> {
    pipe.write(&(contents.len() as u64).to_le_bytes()).await?;
    for chunk in contents.chunks(CHUNK_BYTES) {
        pipe.write(chunk).await?;
    }
    pipe.write(blake3::hash(contents).as_bytes()).await
}

async fn receive(pipe: &mut impl Pipe) -> Result<bool, String> {
    let mut length = [0; 8];
    read_exact(pipe, &mut length).await?;
    let length = u64::from_le_bytes(length);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut at = 0;
    while at < length {
        let room = usize::try_from(length - at).map_or(CHUNK_BYTES, |rest| rest.min(CHUNK_BYTES));
        let count = some(pipe.read(&mut buffer[..room]).await?)?;
        hasher.update(&buffer[..count]);
        at += count as u64;
    }
    let mut hash = [0; blake3::OUT_LEN];
    read_exact(pipe, &mut hash).await?;
    Ok(hasher.finalize() == blake3::Hash::from_bytes(hash))
}

async fn read_exact(pipe: &mut impl Pipe, mut wanted: &mut [u8]) -> Result<(), String> {
    while !wanted.is_empty() {
        let count = some(pipe.read(wanted).await?)?;
        wanted = &mut wanted[count..];
    }
    Ok(())
}

fn some(count: usize) -> Result<usize, String> {
    match count {
        0 => Err("the stream ended before the file".to_owned()),
        some => Ok(some),
    }
}
