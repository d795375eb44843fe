//! An s2n-quic client uploads a file to an s2n-quic server over a lossy link, in virtual time.
//!
//! ```text
//! cargo run --release -p lftp-netem --features s2n --example s2n_in_virtual_time -- [SEED]
//! ```
//!
//! The same seed prints the same line, on every machine and however busy it is.

use std::error::Error;

use lftp_netem::Direction;
use lftp_netem::adapter::s2n::{S2nIo, S2nRandom};
use lftp_netem::profile::NetworkProfile;
use lftp_netem::world::{Host, World};
use s2n_quic::client::Connect;
use s2n_quic::provider::tls::rustls;
use s2n_quic::{Client, Server};

const NETWORK: &str = "rate = '50mbit'\ndelay = '20ms'\nloss = '1%'";
const FILE_BYTES: usize = 8 << 20;
const PORT: u16 = 4433;

/// Self-signed, for the name "peer". Its Ed25519 signatures are all of one size, so the seed also
/// decides the sizes of the handshake's packets.
const CERTIFICATE: &[u8] = include_bytes!("certificate/certificate.der");
const KEY: &[u8] = include_bytes!("certificate/key.der");

type Done<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Done {
    let seed = std::env::args().nth(1).map_or(Ok(1), |seed| seed.parse())?;
    let mut world = World::new(&NetworkProfile::from_toml_str(NETWORK)?, seed);

    let host = world.add_server("10.0.1.1".parse()?)?;
    let server = server(&host)?;
    host.spawn(async move {
        if let Err(error) = serve(server).await {
            eprintln!("server: {error}");
        }
    });

    let host = world.add_client("10.0.2.1".parse()?)?;
    let client = client(&host)?;
    world.block_on(async move {
        let to = Connect::new(std::net::SocketAddr::from(([10, 0, 1, 1], PORT)));
        let mut connection = client.connect(to.with_server_name("peer")).await?;
        let mut stream = connection.open_bidirectional_stream().await?;
        stream.send(vec![7; FILE_BYTES].into()).await?;
        stream.finish()?;
        // The server finishes its side once it has read everything.
        while stream.receive().await?.is_some() {}
        Ok::<(), Box<dyn Error + Send + Sync>>(())
    })??;

    let seconds = world.now().as_nanos() as f64 / 1e9;
    let counters = world.links().counters(Direction::Forward);
    println!(
        "{:.2} Mbit/s: {FILE_BYTES} bytes in {seconds:.6} s; of {} packets {} were lost",
        FILE_BYTES as f64 * 8.0 / 1e6 / seconds,
        counters.packets_in,
        counters.lost(),
    );
    Ok(())
}

async fn serve(mut server: Server) -> Done {
    let mut connection = server.accept().await.ok_or("no client came")?;
    let stream = connection.accept_bidirectional_stream().await?;
    let mut stream = stream.ok_or("no stream came")?;
    while stream.receive().await?.is_some() {}
    stream.finish()?;
    // Dropping the connection would close it before the last packets are acknowledged.
    while let Ok(Some(_)) = connection.accept_bidirectional_stream().await {}
    Ok(())
}

fn server(host: &Host) -> Done<Server> {
    let tls = rustls::Server::builder()
        .with_certificate(CERTIFICATE, KEY)?
        .build()?;
    Ok(Server::builder()
        .with_tls(tls)?
        .with_random(S2nRandom(host.clone()))?
        .with_io(S2nIo::new(host.clone(), PORT))?
        .start()?)
}

fn client(host: &Host) -> Done<Client> {
    let tls = rustls::Client::builder()
        .with_certificate(CERTIFICATE)?
        .build()?;
    Ok(Client::builder()
        .with_tls(tls)?
        .with_random(S2nRandom(host.clone()))?
        .with_io(S2nIo::new(host.clone(), 0))?
        .start()?)
}
