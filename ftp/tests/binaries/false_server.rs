//! A server that answers the program with whatever a test wants.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use lftp_ftp::protocol::{self, LENGTH_BYTES};
use lftp_transport::{Config, Identity, Listener, Runtime, Stream, TokioRuntime};
use serde_json::{Value, json};

/// What a false server does with every client.
#[derive(Clone, Default)]
pub(crate) struct Script {
    /// Reply to every request; the field `port` of a grant is filled in.
    pub(crate) reply: Value,
    /// Bytes sent on every data connection behind its hello.
    pub(crate) data: Vec<u8>,
}

impl Script {
    /// Answers requests, and grants none.
    pub(crate) fn replying(reply: Value) -> Self {
        Self {
            reply,
            data: Vec::new(),
        }
    }

    /// Grants a transfer of `size` bytes, and sends messages on the data connection.
    pub(crate) fn granting(size: u64, messages: &[Value]) -> Self {
        let granted = json!({"status": true, "port": 0, "size": size, "token": "0".repeat(32)});
        Self::replying(granted).sending(messages)
    }

    /// Sends messages as well.
    pub(crate) fn sending(mut self, messages: &[Value]) -> Self {
        let framed = messages.iter().map(|message| framed(&message.to_string()));
        self.data.extend(framed.flatten());
        self
    }

    /// Sends bytes as well.
    pub(crate) fn then(mut self, bytes: &[u8]) -> Self {
        self.data.extend(bytes);
        self
    }
}

/// Puts the length before a message.
pub(crate) fn framed(body: &str) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes(), body.as_bytes()].concat()
}

/// Reads the body of a message; `None` when the connection is over.
pub(crate) async fn read_body(stream: &mut Stream) -> Option<Vec<u8>> {
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length).await.ok()?;
    let mut body = vec![0; protocol::body_bytes(length).ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}

/// A false server that runs until it is dropped.
pub(crate) struct FalseServer {
    pub(crate) host: String,
    /// Its public key, for `--server-key`.
    pub(crate) key: String,
    _runtime: tokio::runtime::Runtime,
}

impl FalseServer {
    pub(crate) fn new(script: Script) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let entered = runtime.enter();
        let config = Config {
            identity: Some(Identity::from_secret([9; 32])),
            ..Config::default()
        };
        let shared: Arc<dyn Runtime> = TokioRuntime::new();
        let listen = || {
            let addr: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
            Listener::bind(Arc::clone(&shared), addr, config.clone()).unwrap()
        };
        let (control, data) = (listen(), listen());
        let (host, port) = (control.local_addr().to_string(), data.local_addr().port());
        let mut reply = script.reply;
        if reply.get("port").is_some() {
            reply["port"] = port.into();
        }
        let reply = Bytes::from(framed(&reply.to_string()));
        runtime.spawn(serve(control, reply, true));
        runtime.spawn(serve(data, script.data.into(), false));
        drop(entered);
        Self {
            host,
            key: Identity::from_secret([9; 32]).public_key().to_string(),
            _runtime: runtime,
        }
    }
}

/// Sends the same behind the hello of every connection, or behind each message that follows it.
async fn serve(listener: Listener, answer: Bytes, to_each: bool) {
    while let Ok(mut stream) = listener.accept().await {
        let answer = answer.clone();
        tokio::spawn(async move {
            read_body(&mut stream).await;
            if to_each {
                while read_body(&mut stream).await.is_some() {
                    if stream.write_bytes(answer.clone()).await.is_err() {
                        return;
                    }
                }
                return;
            }
            // The peer may leave at any time; then there is no peer to answer.
            let _ = stream.write_bytes(answer).await;
            while let Ok(Some(_)) = stream.read_chunk(1 << 20).await {}
            let _ = stream.finish().await;
        });
    }
}
