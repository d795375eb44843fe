//! Server authentication: a pinned key, or trust on first use with the file of known servers.

use std::io::IsTerminal;
use std::sync::Arc;

use lftp_ftp::{Client, ClientConfig, Exit, PinnedKeys};
use lftp_transport::{Peer, PeerVerifier, PublicKey, Runtime, spawn_blocking};

use crate::connect::{ConnectFailure, connect};
use crate::failure::Failure;
use crate::host::Host;
use crate::known_servers::{KnownServer, KnownServers};

/// The way in which a server is authenticated.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// Only this key is accepted (`--server-key`).
    Pinned(PublicKey),
    /// The keys of known servers are accepted, those of new ones after a question.
    Known {
        servers: KnownServers,
        /// Keys of new servers are added without a question (`--accept-new`).
        accept_new: bool,
    },
}

/// Rejects every server, so that a connection attempt returns the server's key and reveals
/// nothing of the client.
#[derive(Debug)]
struct RejectAll;

impl PeerVerifier for RejectAll {
    fn verify(&self, _: &Peer) -> bool {
        false
    }
}

impl Trust {
    /// Connects to a host and authenticates it.
    pub(crate) async fn connect(
        &self,
        runtime: &Arc<dyn Runtime>,
        host: &Host,
        config: &ClientConfig,
    ) -> Result<Client, Failure> {
        let (servers, accept_new) = match self {
            Self::Pinned(key) => {
                let connected = connect(runtime, host, &pinned(config, vec![*key])).await;
                return connected
                    .map_err(|error| error.describe(|shown| not_pinned(host, *key, shown)));
            }
            Self::Known {
                servers,
                accept_new,
            } => (servers, *accept_new),
        };
        let mut known = access_file(runtime, servers, host, KnownServers::find).await?;
        // The key is fetched first, on a connection that fails on purpose: whom the client talks
        // to is decided before its own key is revealed.
        if known.is_empty() {
            known = learn(runtime, host, config, (servers, accept_new)).await?;
        }
        // The keys of the file, not the key just shown: another client may have added the server in
        // the meantime, with another key.
        let keys = known.iter().map(|known| known.key).collect();
        let connected = connect(runtime, host, &pinned(config, keys)).await;
        connected.map_err(|error| error.describe(|shown| key_changed(host, &known, servers, shown)))
    }
}

/// Fetches the key of a server that is not known yet, asks the user unless `accept_new`, and adds
/// it to the file.
async fn learn(
    runtime: &Arc<dyn Runtime>,
    host: &Host,
    config: &ClientConfig,
    (servers, accept_new): (&KnownServers, bool),
) -> Result<Vec<KnownServer>, Failure> {
    let mut config = config.clone();
    config.transport.verifier = Some(Arc::new(RejectAll));
    // This connection ends with its handshake: a data connection beside it would be wasted.
    config.connect_data_early = false;
    match connect(runtime, host, &config).await {
        Ok(_) => Err(untrusted(format!("{host} has not shown a key"))),
        Err(ConnectFailure::Untrusted(shown)) => {
            if !accept_new {
                ask_user(runtime, host, shown, servers).await?;
            }
            let add = move |servers: &KnownServers, host: &Host| servers.add(host, shown);
            access_file(runtime, servers, host, add).await
        }
        Err(ConnectFailure::Failed(failure)) => Err(failure),
    }
}

fn pinned(config: &ClientConfig, keys: Vec<PublicKey>) -> ClientConfig {
    let mut config = config.clone();
    config.transport.verifier = Some(Arc::new(PinnedKeys(keys)));
    config
}

/// Reads or changes the file of known servers off the async thread.
async fn access_file<F>(
    runtime: &Arc<dyn Runtime>,
    servers: &KnownServers,
    host: &Host,
    access: F,
) -> Result<Vec<KnownServer>, Failure>
where
    F: FnOnce(&KnownServers, &Host) -> Result<Vec<KnownServer>, Failure> + Send + 'static,
{
    let (servers, host) = (servers.clone(), host.clone());
    spawn_blocking(&**runtime, move || access(&servers, &host)).await
}

fn untrusted(message: String) -> Failure {
    Failure::new(Exit::UntrustedServer, message)
}

fn not_pinned(host: &Host, key: PublicKey, shown: PublicKey) -> Failure {
    untrusted(format!(
        "{host} has the key {shown}, which is not the key {key} given with --server-key: either \
         the server has a new key, or another machine is intercepting the connection; check the \
         key that \"lftp-server key\" prints on the server"
    ))
}

fn key_changed(
    host: &Host,
    known: &[KnownServer],
    servers: &KnownServers,
    shown: PublicKey,
) -> Failure {
    let file = servers.path().display();
    let lines: Vec<_> = known.iter().map(|known| known.line.to_string()).collect();
    let keys: Vec<_> = known.iter().map(|known| known.key.to_string()).collect();
    let (lines, keys) = (lines.join(", "), keys.join(", "));
    untrusted(format!(
        "WARNING: the key of {host} has changed. It has the key {shown}, but {file}, line \
         {lines}, has {keys}. Either the server has a new key, or another machine is \
         intercepting the connection and could read and change everything. Ask the server's \
         administrator what \"lftp-server key\" prints on the server; if it prints {shown}, \
         remove line {lines} of {file} and connect again"
    ))
}

/// Asks the user whether to trust the key of a server that is not known yet.
async fn ask_user(
    runtime: &Arc<dyn Runtime>,
    host: &Host,
    shown: PublicKey,
    servers: &KnownServers,
) -> Result<(), Failure> {
    let file = servers.path().display();
    // A script cannot be asked, and silent trust would defeat the purpose of keys.
    if !std::io::stdin().is_terminal() || !lftp_console::stderr_is_terminal() {
        return Err(untrusted(format!(
            "{host} is not known yet: its key {shown} is not in {file}. If \"lftp-server key\" \
             prints this key on the server, connect with --server-key {shown}; to trust \
             whatever key a new server has, use --accept-new"
        )));
    }
    lftp_console::note!(
        "{host} is not known yet. Its key is\n  {shown}\nand should be the one that \
         \"lftp-server key\" prints on the server. Trust this key from now on ({file})? [yes/no] "
    );
    let answer = spawn_blocking(&**runtime, || {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let answer = answer.await.unwrap_or_default();
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        // Anything but a clear yes is a no, also the end of input.
        _ => Err(untrusted(format!(
            "{host} is not trusted; nothing was sent to it"
        ))),
    }
}
