//! The driver over the loopback interface: real sockets, real time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lftp_transport::{
    Config, ConnectError, ConnectionError, Listener, ReadError, Recovery, Refusal, Runtime, Stream,
    TokioRuntime,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MIB: usize = 1 << 20;

fn noise(seed: u64, len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into()
}

fn runtime() -> Arc<dyn Runtime> {
    TokioRuntime::new()
}

fn listen(config: Config) -> (Listener, SocketAddr) {
    let listener = Listener::bind(runtime(), SocketAddr::from(([127, 0, 0, 1], 0)), config);
    let listener = listener.expect("a port is free");
    let addr = listener.local_addr();
    (listener, addr)
}

async fn connect(addr: SocketAddr, config: Config) -> Stream {
    Stream::connect(runtime(), addr, config)
        .await
        .expect("connects")
}

/// Writes `outgoing` and the FIN, and reads to the peer's FIN; returns the bytes read.
async fn exchange(stream: Stream, outgoing: Bytes) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut incoming = Vec::new();
    let write = async {
        writer.write_all(&outgoing).await.expect("is written");
        writer.shutdown().await.expect("is acknowledged");
    };
    let read = async {
        reader.read_to_end(&mut incoming).await.expect("is read");
    };
    tokio::join!(write, read);
    incoming
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .expect("is done within a minute")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_mebibytes_each_way_arrive_whole() {
    let (listener, addr) = listen(Config::default());
    let (up, down) = (noise(1, 16 * MIB), noise(2, 16 * MIB));
    let sent = down.clone();
    let server = tokio::spawn(async move {
        let stream = listener.accept().await.expect("accepts");
        exchange(stream, sent).await
    });
    let client = connect(addr, Config::default()).await;
    let received = in_time(exchange(client, up.clone())).await;
    assert!(received == down, "the server's stream");
    assert!(
        in_time(server).await.expect("does not panic") == up,
        "the client's stream"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_streams_share_one_listener() {
    let (listener, addr) = listen(Config::default());
    let server = tokio::spawn(async move {
        let mut echoes = Vec::new();
        for _ in 0..4 {
            let mut stream = listener.accept().await.expect("accepts");
            echoes.push(tokio::spawn(async move {
                while let Some(bytes) = stream.read_chunk(usize::MAX).await.expect("reads") {
                    stream.write_bytes(bytes).await.expect("writes");
                }
                stream.finish().await.expect("is acknowledged");
            }));
        }
        for echo in echoes {
            echo.await.expect("does not panic");
        }
    });
    let clients = (0..4).map(|seed| {
        tokio::spawn(async move {
            let bytes = noise(seed, MIB + seed as usize);
            let stream = connect(addr, Config::default()).await;
            assert!(
                exchange(stream, bytes.clone()).await == bytes,
                "stream {seed}"
            );
        })
    });
    for client in clients.collect::<Vec<_>>() {
        in_time(client).await.expect("comes back");
    }
    in_time(server).await.expect("does not panic");
}

#[tokio::test]
async fn the_seeds_transport_works_over_real_sockets() {
    assert_eq!(Config::original().recovery, Recovery::GoBackN);
    let (listener, addr) = listen(Config::original());
    let server = tokio::spawn(async move {
        let stream = listener.accept().await.expect("accepts");
        exchange(stream, Bytes::new()).await
    });
    let up = noise(3, 200_000);
    let client = connect(addr, Config::original()).await;
    in_time(exchange(client, up.clone())).await;
    assert!(in_time(server).await.expect("does not panic") == up);
}

#[tokio::test]
async fn beyond_the_listen_limit_a_connection_is_refused() {
    let (listener, addr) = listen(Config {
        listen_limit: 1,
        ..Config::default()
    });
    let first = connect(addr, Config::default()).await;
    let accepted = in_time(listener.accept()).await.expect("accepts");
    let second = in_time(Stream::connect(runtime(), addr, Config::default())).await;
    assert!(
        matches!(
            second,
            Err(ConnectError::Connection(ConnectionError::Refused(
                Refusal::ListenLimit
            )))
        ),
        "{second:?}"
    );
    drop((first, accepted));
}

#[tokio::test]
async fn connecting_to_a_silent_address_times_out() {
    // An open socket that never answers.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let addr = silent.local_addr().expect("is bound");
    let config = Config {
        handshake_retry: Duration::from_millis(10),
        handshake_retries: 2,
        ..Config::default()
    };
    let outcome = in_time(Stream::connect(runtime(), addr, config)).await;
    assert!(
        matches!(
            outcome,
            Err(ConnectError::Connection(ConnectionError::TimedOut))
        ),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_reset_reaches_the_reader_with_its_reason() {
    let (listener, addr) = listen(Config::default());
    let mut client = connect(addr, Config::default()).await;
    let mut server = in_time(listener.accept()).await.expect("accepts");
    client.reset(42);
    let outcome = in_time(server.read(&mut [0; 10])).await;
    assert!(
        matches!(
            outcome,
            Err(ReadError::Connection(ConnectionError::Reset { reason: 42 }))
        ),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn finishing_waits_for_the_last_byte_and_a_port_is_free_again() {
    let (listener, addr) = listen(Config::default());
    let mut client = connect(addr, Config::default()).await;
    let mut server = in_time(listener.accept()).await.expect("accepts");
    client.write_all(b"the last words").await.expect("writes");
    let (finished, read) = tokio::join!(in_time(client.finish()), async {
        let mut words = [0; 14];
        in_time(server.read_exact(&mut words)).await.expect("reads");
        assert_eq!(
            in_time(server.read(&mut [0; 1])).await.expect("reads"),
            0,
            "the FIN"
        );
        words
    });
    finished.expect("is acknowledged");
    assert_eq!(&read, b"the last words");
    in_time(server.finish()).await.expect("is acknowledged");
    drop((client, server, listener));
    // Once both have lingered the socket is closed.
    let free = async {
        while std::net::UdpSocket::bind(addr).is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    in_time(free).await;
}
