//! The configuration of quinn: tuned to the path, or its defaults.

use std::io;
use std::sync::Arc;

use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};
use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use quinn::{ClientConfig, MtuDiscoveryConfig, ServerConfig, TransportConfig, VarInt};

use crate::peer::certificate::{CERTIFICATE, KEY};
use crate::peer::name::{Flavor, QuinnCongestion};
use crate::peer::task::quic_window_bytes;
use crate::scenario::Scenario;

/// The UDP payload of a 1,500-byte packet over IPv4.
const PAYLOAD_BYTES: u16 = 1472;

/// The server's certificate and key.
pub(crate) fn identity() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY));
    (CertificateDer::from(CERTIFICATE), key)
}

/// The certificates that the client trusts.
///
/// # Errors
/// When rustls refuses the certificate.
pub(crate) fn roots() -> Result<RootCertStore, quinn::rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(CERTIFICATE))?;
    Ok(roots)
}

/// The server's side.
///
/// # Errors
/// When rustls refuses the certificate.
pub(super) fn server(flavor: Flavor, scenario: &Scenario) -> io::Result<ServerConfig> {
    let (certificate, key) = identity();
    let mut config =
        ServerConfig::with_single_cert(vec![certificate], key).map_err(io::Error::other)?;
    config.transport_config(Arc::new(transport(flavor, scenario)));
    Ok(config)
}

/// The client's side.
///
/// # Errors
/// When rustls refuses the certificate.
pub(super) fn client(flavor: Flavor, scenario: &Scenario) -> io::Result<ClientConfig> {
    let roots = Arc::new(roots().map_err(io::Error::other)?);
    let mut config = ClientConfig::with_root_certificates(roots).map_err(io::Error::other)?;
    config.transport_config(Arc::new(transport(flavor, scenario)));
    Ok(config)
}

fn transport(flavor: Flavor, scenario: &Scenario) -> TransportConfig {
    let mut config = TransportConfig::default();
    config.congestion_controller_factory(congestion(flavor.congestion));
    if flavor.tuned {
        let window = quic_window_bytes(scenario);
        config.send_window(window);
        let window = VarInt::from_u64(window).unwrap_or(VarInt::MAX);
        config.stream_receive_window(window);
        config.receive_window(window);
        let mut discovery = MtuDiscoveryConfig::default();
        discovery.upper_bound(PAYLOAD_BYTES);
        config.mtu_discovery_config(Some(discovery));
    }
    config
}

fn congestion(name: QuinnCongestion) -> Arc<dyn ControllerFactory + Send + Sync> {
    match name {
        QuinnCongestion::Cubic => Arc::new(CubicConfig::default()),
        QuinnCongestion::NewReno => Arc::new(NewRenoConfig::default()),
        QuinnCongestion::Bbr => Arc::new(BbrConfig::default()),
    }
}
