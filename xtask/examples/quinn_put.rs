//! quinn as it comes, over real sockets: a server that reads, and a client that sends so many
//! bytes and tells what it saw of the network, as a line of JSON.
//!
//! ```text
//! cargo run --release -p xtask --example quinn_put -- server
//! cargo run --release -p xtask --example quinn_put -- client ADDRESS BYTES [cubic|newreno|bbr]
//! ```

#![expect(clippy::disallowed_methods, reason = "it runs in real time")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};
use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use quinn::{ClientConfig, Endpoint, ServerConfig, TransportConfig, VarInt};

/// For whom the certificate is.
const SERVER_NAME: &str = "peer";
const CERTIFICATE: &[u8] = include_bytes!("../src/peer/certificate.der");
const KEY: &[u8] = include_bytes!("../src/peer/key.der");

/// What is written at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Beyond what flow control lets through by default at a long round trip.
const WINDOW_BYTES: u32 = 16 << 20;

type Done<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Done {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match words[..] {
        ["server"] => runtime.block_on(serve()),
        ["client", to, bytes] => runtime.block_on(put(to.parse()?, bytes.parse()?, "cubic")),
        ["client", to, bytes, control] => {
            runtime.block_on(put(to.parse()?, bytes.parse()?, control))
        }
        _ => Err("server, or client ADDRESS BYTES [cubic|newreno|bbr]".into()),
    }
}

/// Reads streams of one connection after the other, for ever.
async fn serve() -> Done {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY));
    let certificate = CertificateDer::from(CERTIFICATE);
    let mut config = ServerConfig::with_single_cert(vec![certificate], key)?;
    config.transport_config(Arc::new(transport("cubic")?));
    let endpoint = Endpoint::server(config, "127.0.0.1:0".parse()?)?;
    println!("listening on {}", endpoint.local_addr()?);
    while let Some(incoming) = endpoint.accept().await {
        if let Err(error) = read(incoming).await {
            eprintln!("{error}");
        }
    }
    Ok(())
}

async fn read(incoming: quinn::Incoming) -> Done {
    let connection = incoming.await?;
    let (mut send, mut receive) = connection.accept_bi().await?;
    while receive.read_chunk(usize::MAX, true).await?.is_some() {}
    send.finish()?;
    connection.closed().await;
    Ok(())
}

async fn put(to: SocketAddr, bytes: u64, control: &str) -> Done {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(CERTIFICATE))?;
    let mut config = ClientConfig::with_root_certificates(Arc::new(roots))?;
    config.transport_config(Arc::new(transport(control)?));
    let endpoint = Endpoint::client("127.0.0.1:0".parse()?)?;
    let connection = endpoint.connect_with(config, to, SERVER_NAME)?.await?;
    let (mut send, mut receive) = connection.open_bi().await?;

    let started = Instant::now();
    // The least round trip is the path's own; what is above was spent in a queue.
    let mut least_rtt = connection.rtt();
    let chunk = bytes::Bytes::from(vec![7; CHUNK_BYTES]);
    let mut left = bytes;
    while left > 0 {
        let now = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
        send.write_chunk(chunk.slice(..now)).await?;
        left -= now as u64;
        least_rtt = least_rtt.min(connection.rtt());
    }
    send.finish()?;
    receive.read_to_end(0).await?;
    let seconds = started.elapsed().as_secs_f64();

    let path = connection.stats().path;
    println!(
        "{{\"goodput_bps\":{:.0},\"rtt_least_ms\":{:.3},\"rtt_last_ms\":{:.3},\
         \"sent_packets\":{},\"lost_packets\":{},\"congestion_events\":{}}}",
        bytes as f64 * 8.0 / seconds,
        least_rtt.as_secs_f64() * 1e3,
        path.rtt.as_secs_f64() * 1e3,
        path.sent_packets,
        path.lost_packets,
        path.congestion_events,
    );
    connection.close(VarInt::from_u32(0), b"");
    endpoint.wait_idle().await;
    Ok(())
}

fn transport(control: &str) -> Done<TransportConfig> {
    let controller: Arc<dyn ControllerFactory + Send + Sync> = match control {
        "cubic" => Arc::new(CubicConfig::default()),
        "newreno" => Arc::new(NewRenoConfig::default()),
        "bbr" => Arc::new(BbrConfig::default()),
        _ => return Err(format!("{control:?} is none of cubic, newreno, bbr").into()),
    };
    let mut config = TransportConfig::default();
    config.congestion_controller_factory(controller);
    config.send_window(u64::from(WINDOW_BYTES));
    config.stream_receive_window(VarInt::from_u32(WINDOW_BYTES));
    config.receive_window(VarInt::from_u32(WINDOW_BYTES));
    Ok(config)
}
