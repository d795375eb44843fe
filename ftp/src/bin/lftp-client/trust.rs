//! Which server is believed to be the one that is meant.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use lftp_ftp::{Client, ClientConfig, Exit, Pinned};
use lftp_transport::{Peer, PeerVerifier, PublicKey, Runtime, unblock};

use crate::connect::{NoConnection, connect};
use crate::host::Host;
use crate::known::{Known, KnownServers};
use crate::session::Failure;

/// How a server is told from an impostor.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// By the one key that the command line names.
    Pinned(PublicKey),
    /// By what is known of it since the first time.
    Known {
        servers: KnownServers,
        /// Servers that are not known yet are taken for what they say, without a question.
        accept_new: bool,
    },
}

/// Believes nobody, so that a server shows its key and learns nothing.
#[derive(Debug)]
struct Nobody;

impl PeerVerifier for Nobody {
    fn verify(&self, _: &Peer) -> bool {
        false
    }
}

impl Trust {
    /// Connects to the host, if it is the one that is meant.
    pub(crate) async fn connect(
        &self,
        runtime: &Arc<dyn Runtime>,
        host: &Host,
        config: &ClientConfig,
    ) -> Result<Client, Failure> {
        let (servers, accept_new) = match self {
            Self::Pinned(key) => {
                let connected = connect(runtime, host, &with(config, vec![*key])).await;
                return connected.map_err(|error| error.or(|shown| not_pinned(host, *key, shown)));
            }
            Self::Known {
                servers,
                accept_new,
            } => (servers, *accept_new),
        };
        let mut known = on_file(runtime, servers, host, KnownServers::of).await?;
        if known.is_empty() {
            let mut config = config.clone();
            config.transport.verifier = Some(Arc::new(Nobody));
            config.transfers_at_once = false;
            match connect(runtime, host, &config).await {
                Ok(_) => return Err(untrusted(format!("{host} shows no key"))),
                Err(NoConnection::Untrusted(shown)) => {
                    if !accept_new {
                        ask(runtime, host, shown, servers).await?;
                    }
                    let add = move |servers: &KnownServers, host: &Host| servers.add(host, shown);
                    known = on_file(runtime, servers, host, add).await?;
                }
                Err(NoConnection::Failed(failure)) => return Err(failure),
            }
        }
        let keys = known.iter().map(|known| known.key).collect();
        let connected = connect(runtime, host, &with(config, keys)).await;
        connected.map_err(|error| error.or(|shown| changed(host, &known, servers, shown)))
    }
}

fn with(config: &ClientConfig, keys: Vec<PublicKey>) -> ClientConfig {
    let mut config = config.clone();
    config.transport.verifier = Some(Arc::new(Pinned(keys)));
    config
}

async fn on_file<F>(
    runtime: &Arc<dyn Runtime>,
    servers: &KnownServers,
    host: &Host,
    act: F,
) -> Result<Vec<Known>, Failure>
where
    F: FnOnce(&KnownServers, &Host) -> Result<Vec<Known>, Failure> + Send + 'static,
{
    let (servers, host) = (servers.clone(), host.clone());
    unblock(&**runtime, move || act(&servers, &host)).await
}

fn untrusted(sentence: String) -> Failure {
    Failure::new(Exit::UntrustedServer, sentence)
}

fn not_pinned(host: &Host, key: PublicKey, shown: PublicKey) -> Failure {
    untrusted(format!(
        "{host} shows the key {shown}, which is not the key {key} of --server-key: either the \
         server was set up anew, or somebody is in between"
    ))
}

fn changed(host: &Host, known: &[Known], servers: &KnownServers, shown: PublicKey) -> Failure {
    let file = servers.path().display();
    let lines: Vec<_> = known.iter().map(|known| known.line.to_string()).collect();
    let keys: Vec<_> = known.iter().map(|known| known.key.to_string()).collect();
    let (lines, keys) = (lines.join(", "), keys.join(", "));
    untrusted(format!(
        "WARNING: the key of {host} has changed. It shows the key {shown}, but {file}, line \
         {lines}, says {keys}. Either the server was set up anew, or somebody is in between, who \
         could read and change everything. Ask the server's administrator what \"lftp-server \
         key\" prints there; if it is the key that is shown, remove line {lines} of {file} and \
         connect again"
    ))
}

/// Asks whether a server that is not known is the one that is meant.
async fn ask(
    runtime: &Arc<dyn Runtime>,
    host: &Host,
    shown: PublicKey,
    servers: &KnownServers,
) -> Result<(), Failure> {
    let file = servers.path().display();
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(untrusted(format!(
            "{host} is not known yet; it shows the key {shown}, which is not in {file}. If \
             \"lftp-server key\" prints that key there, say --server-key {shown}, or take what it \
             shows the first time with --accept-new"
        )));
    }
    eprint!(
        "{host} is not known yet. It shows the key\n  {shown}\n\"lftp-server key\" prints the \
         true one there. Trust this key from now on ({file})? [yes/no] "
    );
    let _ = std::io::stderr().flush();
    let answer = unblock(&**runtime, || {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let answer = answer.await.unwrap_or_default();
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(untrusted(format!(
            "{host} is not trusted; nothing was sent to it"
        ))),
    }
}
