//! An echo server and a client that talks to it, over UDP on the loopback interface.
//!
//! ```text
//! cargo run -p lftp-transport --example echo
//! ```

use std::error::Error;

use lftp_transport::{Config, Listener, Stream, TokioRuntime};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let runtime = TokioRuntime::new();
    let listener = Listener::bind(runtime.clone(), "127.0.0.1:0".parse()?, Config::default())?;
    let addr = listener.local_addr();
    println!("listening on {addr}");
    let server = tokio::spawn(serve(listener));

    let mut stream = Stream::connect(runtime, addr, Config::default()).await?;
    stream.write_all(b"hello").await?;
    // Waits until the server has acknowledged every byte.
    stream.finish().await?;
    let mut answer = Vec::new();
    while let Some(chunk) = stream.read_chunk(usize::MAX).await? {
        answer.extend_from_slice(&chunk);
    }
    println!("the server answers {:?}", String::from_utf8_lossy(&answer));
    println!("round trip: {:?}", stream.stats().min_rtt);
    server.await?
}

/// Sends one client's bytes back to it, until the client finishes.
async fn serve(listener: Listener) -> Result<(), Failure> {
    let mut stream = listener.accept().await?;
    while let Some(chunk) = stream.read_chunk(64 << 10).await? {
        stream.write_bytes(chunk).await?;
    }
    stream.finish().await?;
    Ok(())
}
