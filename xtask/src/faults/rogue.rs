//! Malicious clients: each connection is one attack.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lftp_ftp::protocol::{
    self, Ack, Attributes, Granted, Hello, LENGTH_BYTES, Purpose, Ready, Reply, Request, Token,
};
use lftp_transport::{Config, Identity, Runtime, Stream, sleep, timeout};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::count::Count;
use super::plan::ROGUE_BYTES;

/// Time limit of one attack.
const ATTACK_LIMIT: Duration = Duration::from_secs(40);

/// A malicious client.
#[derive(Debug)]
pub(super) struct Rogue {
    runtime: Arc<dyn Runtime>,
    server: SocketAddr,
    /// The name of a file that may exist.
    name: String,
    rng: ChaCha8Rng,
    /// One key for all ports: a granted transfer belongs to it.
    config: Config,
    count: Count,
}

/// The end of an attack: any error is expected.
type Ended = Box<dyn std::error::Error + Send + Sync>;

impl Rogue {
    pub(super) fn new(
        runtime: Arc<dyn Runtime>,
        server: SocketAddr,
        (name, seed): (&str, u64),
        identity: Identity,
        count: Count,
    ) -> Self {
        let config = Config {
            identity: Some(identity),
            ..Config::default()
        };
        Self {
            runtime,
            server,
            name: name.to_owned(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            config,
            count,
        }
    }

    /// Runs one attack after another.
    pub(super) async fn run(mut self) {
        loop {
            let runtime = Arc::clone(&self.runtime);
            let attack = self.attack();
            // An error or a timeout is the correct answer to an attack.
            let _ = timeout(&*runtime, ATTACK_LIMIT, attack).await;
            sleep(&*runtime, Duration::from_millis(500)).await;
        }
    }

    async fn attack(&mut self) -> Result<(), Ended> {
        let mut control = self.open(self.server.port()).await?;
        match self.rng.random_range(0..6) {
            0 => self.sends_random_bytes(&mut control).await,
            1 => self.announces_a_wrong_length(&mut control).await,
            2 => self.asks_for_an_invalid_name_or_size(&mut control).await,
            3 => self.gets_and_never_reads(&mut control).await,
            4 => self.puts_other_contents_than_announced(&mut control).await,
            _ => self.guesses_a_token().await,
        }
    }

    async fn open(&self, port: u16) -> Result<Stream, Ended> {
        let addr = SocketAddr::new(self.server.ip(), port);
        let runtime = Arc::clone(&self.runtime);
        Ok(Stream::connect(runtime, addr, self.config.clone()).await?)
    }

    fn random(&mut self, most: usize) -> Bytes {
        let mut bytes = vec![0; self.rng.random_range(1..=most)];
        self.rng.fill_bytes(&mut bytes);
        bytes.into()
    }

    async fn sends_random_bytes(&mut self, control: &mut Stream) -> Result<(), Ended> {
        self.count.one("rogue: random bytes instead of messages");
        if self.rng.random() {
            hello(control).await?;
        }
        control.write_bytes(self.random(100_000)).await?;
        read_to_end(control).await
    }

    async fn announces_a_wrong_length(&mut self, control: &mut Stream) -> Result<(), Ended> {
        self.count.one("rogue: a message length above the limit");
        hello(control).await?;
        let length: u32 = self.rng.random_range(1 << 16..=u32::MAX);
        control
            .write_bytes(Bytes::copy_from_slice(&length.to_be_bytes()))
            .await?;
        control.write_bytes(self.random(1000)).await?;
        read_to_end(control).await
    }

    async fn asks_for_an_invalid_name_or_size(
        &mut self,
        control: &mut Stream,
    ) -> Result<(), Ended> {
        self.count.one("rogue: an invalid name or size");
        hello(control).await?;
        let names = [
            "../up",
            "/etc/passwd",
            "a/../../b",
            "",
            "nul\0",
            ".lftp-1.part",
            "x",
        ];
        let name = names[self.rng.random_range(0..names.len())];
        let request = Request::Put {
            name: name.to_owned(),
            // Sums with it overflow: the server must refuse it before it adds anything.
            size: u64::MAX - self.rng.random_range(0..2),
            overwrite: true,
            source: None,
            allocated: self.rng.random::<bool>().then_some(u64::MAX),
            attributes: Attributes {
                mode: Some(self.rng.random()),
                modified_ns: Some(self.rng.random()),
            },
        };
        ask::<Granted>(control, &request).await?;
        Ok(())
    }

    /// Requests a file and stops reading.
    async fn gets_and_never_reads(&mut self, control: &mut Stream) -> Result<(), Ended> {
        hello(control).await?;
        let request = Request::Get {
            name: self.name.clone(),
            held: None,
        };
        let granted: Granted = ask(control, &request).await?;
        let mut data = self.open(granted.port).await?;
        data.write_bytes(data_hello(granted.token)).await?;
        let ready = protocol::encode(&Ready { ack: Ack::Ack })?;
        data.write_bytes(ready).await?;
        self.count.one("rogue: stops reading");
        sleep(&*self.runtime, ATTACK_LIMIT).await;
        Ok(())
    }

    /// Sends more than announced, or less, or with another hash.
    async fn puts_other_contents_than_announced(
        &mut self,
        control: &mut Stream,
    ) -> Result<(), Ended> {
        hello(control).await?;
        let request = Request::Put {
            name: "rogue.bin".to_owned(),
            size: self.rng.random_range(1..ROGUE_BYTES),
            overwrite: true,
            source: None,
            allocated: None,
            attributes: Attributes::default(),
        };
        let granted: Granted = ask(control, &request).await?;
        let mut data = self.open(granted.port).await?;
        data.write_bytes(data_hello(granted.token)).await?;
        data.write_bytes(self.random(120_000)).await?;
        self.count.one("rogue: another file than announced");
        if self.rng.random() {
            sleep(&*self.runtime, ATTACK_LIMIT).await;
        }
        data.finish().await?;
        read_to_end(&mut data).await
    }

    async fn guesses_a_token(&mut self) -> Result<(), Ended> {
        self.count.one("rogue: a guessed token");
        let mut stream = self.open(self.server.port()).await?;
        let mut token = Token([0; 16]);
        self.rng.fill_bytes(&mut token.0);
        stream.write_bytes(data_hello(token)).await?;
        read_to_end(&mut stream).await
    }
}

async fn hello(control: &mut Stream) -> Result<(), Ended> {
    let hello = protocol::encode(&Hello::new(Purpose::Control { data_port: None }))?;
    Ok(control.write_bytes(hello).await?)
}

fn data_hello(token: Token) -> Bytes {
    let resume = false;
    let hello = Hello::new(Purpose::Data {
        token,
        resume,
        ahead: false,
    });
    protocol::encode(&hello).unwrap_or_default()
}

async fn ask<T: serde::de::DeserializeOwned>(
    control: &mut Stream,
    request: &Request,
) -> Result<T, Ended> {
    control.write_bytes(protocol::encode(request)?).await?;
    let mut length = [0; LENGTH_BYTES];
    control.read_exact(&mut length).await?;
    let mut body = vec![0; protocol::body_bytes(length)?];
    control.read_exact(&mut body).await?;
    let reply: Reply<T> = protocol::decode_reply(&body)?;
    Ok(reply?)
}

/// Reads until the server closes or resets the stream.
async fn read_to_end(stream: &mut Stream) -> Result<(), Ended> {
    while stream.read_chunk(1 << 16).await?.is_some() {}
    Ok(())
}
