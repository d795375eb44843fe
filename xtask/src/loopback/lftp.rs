//! LFTP's transport with its defaults.

use std::net::SocketAddr;
use std::sync::mpsc;

use bytes::Bytes;
use lftp_transport::{Config, Listener, Stream, TokioRuntime};

use super::{CHUNK_BYTES, any_port, describe, single};

pub(super) fn receive(address: mpsc::Sender<SocketAddr>) -> Result<u64, String> {
    single(async {
        let listener = Listener::bind(TokioRuntime::new(), any_port(), Config::default());
        let listener = listener.map_err(describe)?;
        address.send(listener.local_addr()).map_err(describe)?;
        let mut stream = listener.accept().await.map_err(describe)?;
        let mut received = 0;
        while let Some(bytes) = stream.read_chunk(usize::MAX).await.map_err(describe)? {
            received += bytes.len() as u64;
        }
        stream.finish().await.map_err(describe)?;
        Ok(received)
    })
}

pub(super) fn send(to: SocketAddr, bytes: u64) -> Result<(), String> {
    single(async {
        let stream = Stream::connect(TokioRuntime::new(), to, Config::default());
        let mut stream = stream.await.map_err(describe)?;
        let chunk = Bytes::from(vec![7; CHUNK_BYTES]);
        let mut left = bytes;
        while left > 0 {
            let now = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            let written = stream.write_bytes(chunk.slice(..now)).await;
            written.map_err(describe)?;
            left -= now as u64;
        }
        stream.finish().await.map_err(describe)?;
        // The receiver has everything when it ends its side.
        stream.read_chunk(1).await.map_err(describe)?;
        Ok(())
    })
}
