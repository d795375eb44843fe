//! The configuration of s2n-quic: its defaults, except for windows that the path cannot fill.

use lftp_netem::adapter::s2n::{S2nIo, S2nRandom};
use lftp_netem::world::Host;
use s2n_quic::provider::congestion_controller::{self, Bbr, Cubic};
use s2n_quic::provider::limits::Limits;
use s2n_quic::provider::tls::rustls;
use s2n_quic::{Client, Server};

use crate::peer::certificate::{CERTIFICATE, KEY};
use crate::peer::name::S2nCongestion;
use crate::peer::task::{PORT, quic_window_bytes};
use crate::scenario::Scenario;

/// A server on the peers' port.
///
/// # Errors
/// A message with the reason.
pub(super) fn server(
    congestion: S2nCongestion,
    host: &Host,
    scenario: &Scenario,
) -> Result<Server, String> {
    match congestion {
        S2nCongestion::Cubic => server_with(Cubic::default(), host, scenario),
        S2nCongestion::Bbr => server_with(Bbr::default(), host, scenario),
    }
}

/// A client on a port of its own.
///
/// # Errors
/// A message with the reason.
pub(super) fn client(
    congestion: S2nCongestion,
    host: &Host,
    scenario: &Scenario,
) -> Result<Client, String> {
    match congestion {
        S2nCongestion::Cubic => client_with(Cubic::default(), host, scenario),
        S2nCongestion::Bbr => client_with(Bbr::default(), host, scenario),
    }
}

/// The server's TLS identity.
///
/// # Errors
/// When rustls refuses the certificate.
pub(crate) fn server_tls() -> Result<rustls::Server, String> {
    rustls::Server::builder()
        .with_certificate(CERTIFICATE, KEY)
        .and_then(rustls::server::Builder::build)
        .map_err(describe)
}

/// Whom the client trusts.
///
/// # Errors
/// When rustls refuses the certificate.
pub(crate) fn client_tls() -> Result<rustls::Client, String> {
    rustls::Client::builder()
        .with_certificate(CERTIFICATE)
        .and_then(rustls::client::Builder::build)
        .map_err(describe)
}

fn server_with(
    controller: impl congestion_controller::Provider,
    host: &Host,
    scenario: &Scenario,
) -> Result<Server, String> {
    Server::builder()
        .with_tls(server_tls()?)
        .map_err(describe)?
        .with_congestion_controller(controller)
        .map_err(describe)?
        .with_limits(limits(window(scenario))?)
        .map_err(describe)?
        .with_random(S2nRandom(host.clone()))
        .map_err(describe)?
        .with_io(S2nIo::new(host.clone(), PORT))
        .map_err(describe)?
        .start()
        .map_err(describe)
}

fn client_with(
    controller: impl congestion_controller::Provider,
    host: &Host,
    scenario: &Scenario,
) -> Result<Client, String> {
    Client::builder()
        .with_tls(client_tls()?)
        .map_err(describe)?
        .with_congestion_controller(controller)
        .map_err(describe)?
        .with_limits(limits(window(scenario))?)
        .map_err(describe)?
        .with_random(S2nRandom(host.clone()))
        .map_err(describe)?
        .with_io(S2nIo::new(host.clone(), 0))
        .map_err(describe)?
        .start()
        .map_err(describe)
}

/// A window as s2n-quic takes it: at most 4 GiB.
fn window(scenario: &Scenario) -> u32 {
    u32::try_from(quic_window_bytes(scenario)).unwrap_or(u32::MAX)
}

/// Every window and the send buffer of one size, bytes.
///
/// # Errors
/// When s2n-quic refuses it.
pub(crate) fn limits(window_bytes: u32) -> Result<Limits, String> {
    Limits::new()
        .with_data_window(window_bytes.into())
        .and_then(|limits| limits.with_bidirectional_local_data_window(window_bytes.into()))
        .and_then(|limits| limits.with_bidirectional_remote_data_window(window_bytes.into()))
        .and_then(|limits| limits.with_max_send_buffer_size(window_bytes))
        .map_err(describe)
}

fn describe(error: impl std::fmt::Display) -> String {
    error.to_string()
}
