//! A quinn client uploads a file to a quinn server over a lossy link, in virtual time.
//!
//! ```text
//! cargo run --release -p lftp-netem --features quinn --example quinn_in_virtual_time -- [SEED]
//! ```
//!
//! The same seed prints the same line, on every machine and however busy it is.

use std::error::Error;
use std::sync::Arc;

use lftp_netem::Direction;
use lftp_netem::adapter::quinn::endpoint;
use lftp_netem::profile::NetworkProfile;
use lftp_netem::world::World;
use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use quinn::{ClientConfig, Endpoint, EndpointConfig, ServerConfig, VarInt};

const NETWORK: &str = "rate = '50mbit'\ndelay = '20ms'\nloss = '1%'";
const FILE_BYTES: usize = 8 << 20;

/// Self-signed, for the name "peer". Its Ed25519 signatures are all of one size, so the seed also
/// decides the sizes of the handshake's packets.
const CERTIFICATE: &[u8] = include_bytes!("certificate/certificate.der");
const KEY: &[u8] = include_bytes!("certificate/key.der");

type Done<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Done {
    let seed = std::env::args().nth(1).map_or(Ok(1), |seed| seed.parse())?;
    let mut world = World::new(&NetworkProfile::from_toml_str(NETWORK)?, seed);

    let server = world.add_server("10.0.1.1".parse()?)?;
    let listening = "0.0.0.0:4433".parse()?;
    let quinn_server = endpoint(
        &server,
        listening,
        EndpointConfig::default(),
        Some(server_config()?),
    )?;
    server.spawn(async move {
        if let Err(error) = serve(quinn_server).await {
            eprintln!("server: {error}");
        }
    });

    let client = world.add_client("10.0.2.1".parse()?)?;
    let any = "0.0.0.0:0".parse()?;
    let quinn_client = endpoint(&client, any, EndpointConfig::default(), None)?;
    let config = client_config()?;
    world.block_on(async move {
        let connection = quinn_client
            .connect_with(config, "10.0.1.1:4433".parse()?, "peer")?
            .await?;
        let (mut send, mut receive) = connection.open_bi().await?;
        send.write_all(&vec![7; FILE_BYTES]).await?;
        send.finish()?;
        // The server finishes its side once it has read everything.
        receive.read_to_end(0).await?;
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

async fn serve(endpoint: Endpoint) -> Done {
    let connection = endpoint.accept().await.ok_or("no client came")?.await?;
    let (mut send, mut receive) = connection.accept_bi().await?;
    while receive.read_chunk(usize::MAX, true).await?.is_some() {}
    send.finish()?;
    connection.closed().await;
    endpoint.close(VarInt::from_u32(0), b"");
    Ok(())
}

fn server_config() -> Done<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY));
    let certificate = CertificateDer::from(CERTIFICATE);
    Ok(ServerConfig::with_single_cert(vec![certificate], key)?)
}

fn client_config() -> Done<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(CERTIFICATE))?;
    Ok(ClientConfig::with_root_certificates(Arc::new(roots))?)
}
